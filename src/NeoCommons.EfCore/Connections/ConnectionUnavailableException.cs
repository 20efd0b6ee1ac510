namespace NeoCommons.EfCore;

/// <summary>A registered connection cannot be used now. Other connections are not affected.</summary>
public sealed class ConnectionUnavailableException : NeoCommonsException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="connectionName">The connection's name.</param>
    /// <param name="reason">The kind of obstacle.</param>
    /// <param name="message">What stands in the way, with the current values, and what to do; never a secret.</param>
    /// <param name="innerException">The driver's exception, if any.</param>
    /// <param name="retryAfter">When it may be worth trying again; null where nobody knows.</param>
    public ConnectionUnavailableException(
        string connectionName,
        ConnectionUnavailableReason reason,
        string message,
        Exception? innerException = null,
        TimeSpan? retryAfter = null
    )
        : base(message, innerException)
    {
        ConnectionName = connectionName;
        Reason = reason;
        RetryAfter = retryAfter;
    }

    /// <summary>The connection's name.</summary>
    public string ConnectionName { get; }

    /// <summary>The kind of obstacle.</summary>
    public ConnectionUnavailableReason Reason { get; }

    /// <summary>When it may be worth trying again; null where nobody knows.</summary>
    public TimeSpan? RetryAfter { get; }
}
