namespace NeoCommons.EfCore;

/// <summary>Why a registered connection cannot be used now.</summary>
public enum ConnectionUnavailableReason
{
    /// <summary>The row says <c>is_active = false</c>.</summary>
    Inactive,

    /// <summary>The row holds a value that cannot be used.</summary>
    InvalidConfiguration,

    /// <summary>All connections of the pool were leased for the whole pool timeout.</summary>
    PoolExhausted,

    /// <summary>The server did not answer: wrong host or port, server down, network cut, TLS refused.</summary>
    Unreachable,

    /// <summary>
    /// The server refused user or password, or asked for a method that <see cref="ConnectionOptions.RequireAuth"/> does not
    /// allow.
    /// </summary>
    AuthenticationFailed,

    /// <summary>The server answered and refused the connection: no such database, too many connections, starting up.</summary>
    Refused,

    /// <summary>
    /// The row has changed, or the pool was built anew, and that of this context or lease has been closed since: ask for a new one.
    /// </summary>
    Replaced,

    /// <summary>
    /// Opens have failed lately, and callers are not let near the server until it answers a probe
    /// (<see cref="ConnectionBreakerOptions"/>). The inner exception is the last failure.
    /// </summary>
    CircuitOpen,

    /// <summary>The process shuts down: what has a connection goes on to the end, and nothing new begins.</summary>
    ShuttingDown,

    /// <summary>
    /// None of the row's hosts serves: no primary takes writes, all are down, or those that answer were replaced.
    /// </summary>
    NoHost,
}
