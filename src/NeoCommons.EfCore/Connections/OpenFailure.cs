using System.Net.Sockets;
using System.Security.Authentication;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Says in the words of the registry why a connection could not be opened, and what to do.</summary>
internal static class OpenFailure
{
    /// <summary>The failure of this connection; null where it is not the connection that failed.</summary>
    public static ConnectionUnavailableException? Explain(Exception e, DatabaseConnection row)
    {
        (ConnectionUnavailableReason Reason, string Text)? found = e switch
        {
            PostgresException { SqlState: ['2', '8', ..] } p => (
                ConnectionUnavailableReason.AuthenticationFailed,
                $"the server refused user '{row.Username}' ({p.SqlState}): check user name and password"
            ),
            PostgresException p => (
                ConnectionUnavailableReason.Refused,
                $"the server refused the connection ({p.SqlState}: {p.MessageText})" + RemedyOf(p)
            ),
            NpgsqlException n when HostFailure.IsNoHost(n) => (
                ConnectionUnavailableReason.NoHost,
                $"none of its hosts {row.Host}:{row.Port},{row.ReplicaHosts} can be used: {HostFailure.TextOf(n)}. Check that one of them is "
                    + "a primary that takes writes, and that replica_hosts are right"
            ),
            NpgsqlException when IsExhaustion(e) => (ConnectionUnavailableReason.PoolExhausted, TextOfExhausted(row)),
            NpgsqlException n when n.Message.Contains("authentication method", StringComparison.Ordinal) => (
                ConnectionUnavailableReason.AuthenticationFailed,
                $"{n.Message} To trust this server with that method, name it in NeoCommons:Connections:RequireAuth, or verify "
                    + "its certificate with ssl_mode verify-full"
            ),
            NpgsqlException n when n.Message.Contains("SSL", StringComparison.Ordinal) => (
                ConnectionUnavailableReason.Unreachable,
                $"{row.Host}:{row.Port} does not speak TLS as ssl_mode {row.SslMode} asks: {EndOf(n.Message)} Switch TLS on at the "
                    + "server, or set ssl_mode to disable where the network is trusted"
            ),
            NpgsqlException n => (
                ConnectionUnavailableReason.Unreachable,
                $"{row.Host}:{row.Port} cannot be used: {EndOf(n.Message)} Check that the server runs, that host and port are right, and that ssl_mode '{row.SslMode}' suits it"
            ),
            SocketException or TimeoutException or IOException or AuthenticationException => (
                ConnectionUnavailableReason.Unreachable,
                $"{row.Host}:{row.Port} cannot be reached: {EndOf(e.Message)} Check that the server runs and that host and port are right"
            ),
            _ => null,
        };
        return found is { } f
            ? new ConnectionUnavailableException(
                row.Name,
                f.Reason,
                $"Connection '{row.Name}' is unavailable: {EndOf(f.Text)}",
                e,
                // What is known of the hosts changes at the next look, or never.
                f.Reason == ConnectionUnavailableReason.NoHost
                    ? HostWatch.Interval
                    : null
            )
            : null;
    }

    /// <summary>Whether all connections of a pool were in use for as long as a caller waits.</summary>
    public static bool IsExhaustion(Exception e) =>
        e.InnerException is TimeoutException
        && e.Message.StartsWith("The connection pool has been exhausted", StringComparison.Ordinal);

    /// <summary>The only connection that could be had leads to a server that must not serve.</summary>
    public static ConnectionUnavailableException NoHost(DatabaseConnection row, string why) =>
        new(
            row.Name,
            ConnectionUnavailableReason.NoHost,
            $"Connection '{row.Name}' is unavailable: {EndOf(why)} Ask again in a moment: its hosts are looked at every "
                + $"{HostWatch.Interval.TotalSeconds:0.###} s.",
            retryAfter: HostWatch.Interval
        );

    /// <summary>The server does not take the row's password, and is not asked again for a while.</summary>
    public static ConnectionUnavailableException PasswordRefused(
        PostgresException e,
        DatabaseConnection row,
        TimeSpan backOff
    ) =>
        new(
            row.Name,
            ConnectionUnavailableReason.AuthenticationFailed,
            $"Connection '{row.Name}' is unavailable: the server refused user '{row.Username}' ({e.SqlState}), and the row has no other "
                + "password. Store the one that the server knows (connections set-password), or give the role the row's (ALTER ROLE). "
                + $"Until the row's password changes, the server is asked again {backOff.TotalSeconds:0.###} s after it refused.",
            e
        );

    /// <summary>The server has said nothing.</summary>
    public static ConnectionUnavailableException Silent(DatabaseConnection row, TimeSpan timeout, Exception e) =>
        new(
            row.Name,
            ConnectionUnavailableReason.Unreachable,
            $"Connection '{row.Name}' is unavailable: {row.Host}:{row.Port} did not answer for {timeout.TotalSeconds:0.###} s. Check "
                + "that the server runs and that the network leads there.",
            e
        );

    /// <summary>Others have failed lately, and the server is not asked for this caller.</summary>
    public static ConnectionUnavailableException CircuitOpen(
        string connectionName,
        ConnectionUnavailableException cause,
        TimeSpan retryAfter
    ) =>
        new(
            connectionName,
            ConnectionUnavailableReason.CircuitOpen,
            $"Connection '{connectionName}' is out of order, and is being asked every {retryAfter.TotalSeconds:0.###} s whether it works "
                + $"again. The last failure ({cause.Reason}): {cause.Message}",
            cause,
            retryAfter
        );

    /// <summary>Whether the server is not to be had at the moment; a refusal of this login or database is none of it.</summary>
    public static bool IsOutage(ConnectionUnavailableException failure, DatabaseConnection row) =>
        failure.Reason == ConnectionUnavailableReason.Unreachable
        || failure.InnerException
            // No slot or memory left, an error of the system, starting or shutting down.
            is PostgresException { SqlState: ['5', '3', ..] or ['5', '8', ..] or "57P03" }
        || PoolerAnswer.IsAway(failure.InnerException)
        || PoolerAnswer.IsFull(failure.InnerException)
        || IsOfOneSession(failure, row);

    /// <summary>Whether the server has no slot left for another session, or its pooler none for another client.</summary>
    public static bool IsFull(ConnectionUnavailableException failure) =>
        failure.InnerException is PostgresException { SqlState: PostgresErrorCodes.TooManyConnections }
        || PoolerAnswer.IsFull(failure.InnerException);

    /// <summary>
    /// Whether it may be the end of this one session, by somebody who was there to end it: of such failures alone nobody knows
    /// whether the server goes down, so the next login has to tell.
    /// </summary>
    public static bool IsOfOneSession(ConnectionUnavailableException failure, DatabaseConnection row) =>
        failure.InnerException switch
        {
            PostgresException { SqlState: ['0', '8', ..] } e => row.Pooler != PoolerMode.None
                && !(PoolerAnswer.IsAway(e) || PoolerAnswer.IsFull(e) || PoolerAnswer.IsRefusal(e)),
            PostgresException e => EndedSession.Is(e),
            // It was there and has hung up. A caller's timeout is no such end.
            { InnerException: IOException and not { InnerException: TimeoutException } } => true,
            _ => false,
        };

    /// <summary>All connections of the pool were in use for as long as a caller waits.</summary>
    public static ConnectionUnavailableException Exhausted(DatabaseConnection row) =>
        new(
            row.Name,
            ConnectionUnavailableReason.PoolExhausted,
            $"Connection '{row.Name}' is unavailable: {TextOfExhausted(row)}."
        );

    /// <summary>All connections that the server has for this process were in use for as long as a caller waits.</summary>
    public static ConnectionUnavailableException ServerExhausted(DatabaseConnection row, ServerBudget server) =>
        server.Total is null
            ? new(
                row.Name,
                ConnectionUnavailableReason.Unreachable,
                $"Connection '{row.Name}' is unavailable: the first {server.Gate.Permits} that were opened to server {server.Server} are not "
                    + $"open after {row.PoolTimeout.TotalSeconds:0.###} s, and no more are opened before it has told how many it has. Check that it "
                    + "runs, and that the network leads there."
            )
            : Exhausted(row, server);

    private static ConnectionUnavailableException Exhausted(DatabaseConnection row, ServerBudget server) =>
        new(
            row.Name,
            ConnectionUnavailableReason.PoolExhausted,
            $"Connection '{row.Name}' is unavailable: the {server.Gate.Permits} connections that server {server.Server} has for this process "
                + $"were in use, over all rows that lead to it, for {row.PoolTimeout.TotalSeconds:0.###} s"
                + (
                    server.IsShared
                        ? $"; they are its part of {server.Total}, which other processes have too (NeoCommons:AdminDatabase:ServerLease)"
                        : ""
                )
                + ": raise max_connections of the server, or NeoCommons:Connections:ServerBudget where that is less, or hold "
                + "connections for a shorter time."
        );

    /// <summary>The row says that it is not to be used.</summary>
    public static ConnectionUnavailableException Inactive(string connectionName) =>
        new(
            connectionName,
            ConnectionUnavailableReason.Inactive,
            $"Connection '{connectionName}' is switched off: set is_active to true in its row of admin.database_connections to use it."
        );

    /// <summary>The process ends.</summary>
    public static ConnectionUnavailableException ShuttingDown(string connectionName) =>
        new(
            connectionName,
            ConnectionUnavailableReason.ShuttingDown,
            $"Connection '{connectionName}' is unavailable: the application shuts down. Ask another instance."
        );

    /// <summary>The lease is of a pool that is no more.</summary>
    public static ConnectionUnavailableException Ended(PooledDataSource source, Exception? e = null) =>
        source.IsStopping?.Invoke() is true
            ? ShuttingDown(source.Row.Name)
            : new(
                source.Row.Name,
                ConnectionUnavailableReason.Replaced,
                $"Connection '{source.Row.Name}' is unavailable here: its pool was replaced, as when its row has changed, and what was asked "
                    + "for before is not served any more. Ask for a new context or connection.",
                e
            );

    private static string TextOfExhausted(DatabaseConnection row) =>
        $"all {row.MaxPoolSize} connections of its pool were in use for {row.PoolTimeout.TotalSeconds:0.###} s: "
        + "raise pool_max_size or pool_timeout_seconds, or hold connections for a shorter time";

    private static string RemedyOf(PostgresException e) =>
        PoolerAnswer.IsAway(e) ? "; it is its pooler that says so. Check that the server behind it runs and lets it in"
        : PoolerAnswer.IsFull(e) ? "; it is its pooler that says so. Raise its max_client_conn, or lower pool_max_size"
        : PoolerAnswer.IsLate(e)
            ? "; it is its pooler that says so. Raise its default_pool_size, or hold connections for a shorter time"
        : e.SqlState == PostgresErrorCodes.ProtocolViolation
            ? $"; a pooler that does not pass search_path on would do that. {PoolerProbe.Remedies}"
        : "";

    private static string EndOf(string message) => message.EndsWith('.') ? message : message + ".";
}
