using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Opens sessions beside a pool, which end when they are closed.</summary>
internal static class SessionBeside
{
    /// <summary>Opens one as the driver does; under a lease.</summary>
    public static ValueTask<NpgsqlConnection> OpenUnpooledAsync(this PooledDataSource source, CancellationToken ct) =>
        source.OpenUnpooledAtAsync(null, ct);

    /// <summary>The same, to the server that another connection leads to.</summary>
    public static ValueTask<NpgsqlConnection> OpenUnpooledAsync(
        this PooledDataSource source,
        NpgsqlConnection beside,
        CancellationToken ct
    ) => source.OpenUnpooledAtAsync(PhysicalConnection.Of(beside).Session?.Host, ct);

    /// <summary>The same, to one of its servers.</summary>
    /// <param name="source">The pool.</param>
    /// <param name="host">The server; null where any that takes writes will do.</param>
    /// <param name="ct">Cancels.</param>
    public static async ValueTask<NpgsqlConnection> OpenUnpooledAtAsync(
        this PooledDataSource source,
        RowHost? host,
        CancellationToken ct
    )
    {
        // The gate tells opens apart by their tokens.
        using var own = source.Hosts is null ? null : CancellationTokenSource.CreateLinkedTokenSource(ct);
        var token = own?.Token ?? ct;
        var connection = host is null ? source.Unpooled.CreateConnection() : host.CreateConnection();
        var passwords = host?.Passwords ?? source.Passwords;
        try
        {
            await connection.OpenAsync(token).ConfigureAwait(false);
            passwords.Accepted(connection);
            return connection;
        }
        catch (Exception e)
        {
            if (
                (host is not null || source.Hosts is null)
                && e is PostgresException
                && HostFailure.RefusalIn(e) is { } refusal
            )
            {
                passwords.Refuse(passwords.Given(async: true, token) ?? source.Row.Password, refusal);
            }

            passwords.Ended(async: true, token);
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Opens one and closes it: why the server is not to be had, or null where it answers, be it with a refusal.</summary>
    public static async ValueTask<ConnectionUnavailableException?> ProbeAsync(
        this PooledDataSource source,
        TimeSpan timeout,
        TimeProvider time,
        CancellationToken ct
    )
    {
        using var late = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
        try
        {
            var session = await source.OpenUnpooledAsync(either.Token).ConfigureAwait(false);
            await using var _ = session.ConfigureAwait(false);
            if (source.Row.Pooler != PoolerMode.None)
            {
                // A pooler lets its clients in while the server is away.
                await DriverCommand
                    .ExecuteAsync(session, "SELECT 1", null, async: true, either.Token)
                    .ConfigureAwait(false);
            }

            return null;
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            // The driver wraps what comes out of asking for the password.
            var failure = late.IsCancellationRequested
                ? OpenFailure.Silent(source.Row, timeout, e)
                : e.InnerException as ConnectionUnavailableException ?? OpenFailure.Explain(e, source.Row);
            return failure is not null && OpenFailure.IsOutage(failure, source.Row) ? failure : null;
        }
    }
}
