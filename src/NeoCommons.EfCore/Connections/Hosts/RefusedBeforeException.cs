using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>A server is not told a password that it has refused; the driver goes on to the next one.</summary>
/// <param name="host">The server.</param>
/// <param name="cause">Its refusal; null where this very open has met it.</param>
internal sealed class RefusedBeforeException(HostAddress host, PostgresException? cause = null)
    : NpgsqlException($"{host} was told the password a moment ago, and did not let this user in.")
{
    public PostgresException? Cause => cause;
}
