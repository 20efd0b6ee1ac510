using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Has the server end the sessions of a pool that are still in use when nobody may wait for them, or use them, any more.</summary>
/// <remarks>
/// A command that runs cannot be reached through the driver but by who has it, and closing the socket would let the server
/// work on. From another session it is one statement.
/// </remarks>
internal static class SessionEnd
{
    // A number may be another session's by now, which is younger. The name is asked for the sake of a server whose clock was put back;
    // at worst a younger session of this application, with the same number and user, is ended too.
    private const string Terminate = """
        SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(a.pid))
        FROM pg_catalog.pg_stat_activity AS a
            JOIN ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS ours (pid, age) ON a.pid = ours.pid
        WHERE a.pid <> pg_catalog.pg_backend_pid() AND a.usename = session_user AND a.datname = pg_catalog.current_database()
            AND (a.application_name = pg_catalog.current_setting('application_name')
                OR pg_catalog.clock_timestamp() - a.backend_start >= pg_catalog.make_interval(secs => ours.age))
        """;

    /// <summary>How long a server may take.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Ends them; a server that does not answer in time is left alone.</summary>
    public static Task OfAsync(PooledDataSource source, TimeProvider time) =>
        source.Hosts is { } pools
            ? Task.WhenAll(pools.Hosts.Select(host => AtAsync(source, host, time)))
            : AtAsync(source, null, time);

    /// <summary>
    /// Ends those at primaries that were replaced, since nobody asks whoever has the driver's connection before he writes; again at the
    /// next look until none is left. Those that an earlier pool of the row has opened too, which nobody looks after any more.
    /// </summary>
    public static void AtReplaced(PooledDataSource source, HostPools pools, TimeProvider time)
    {
        foreach (var host in pools.Hosts.Where(host => host.Ending is not { IsCompleted: false }))
        {
            var isReplaced = pools.Guard.States[host.Number] is { Refusal: not null, Answer.IsPrimary: true };
            if (!isReplaced)
            {
                host.Ending = null;
            }
            else if (host.Ending is not { Result: true })
            {
                host.Ending = AtReplacedAsync(source, host, pools.Guard, time);
            }
        }
    }

    /// <returns>Whether none was left; false also where that is not known.</returns>
    private static async Task<bool> AtReplacedAsync(
        PooledDataSource source,
        RowHost host,
        HostGuard guard,
        TimeProvider time
    ) =>
        await AtAsync(
                source,
                host,
                time,
                session => session.IsOfRow(source.Row.Name, host.Address) && guard.IsOutdated(session)
            )
            .ConfigureAwait(false)
            is 0;

    /// <summary>Ends those of a pool, at one of several servers or at its only one.</summary>
    /// <inheritdoc cref="AtAsync(PooledDataSource, RowHost, TimeProvider, Func{PhysicalConnection, bool})"/>
    public static Task<long?> AtAsync(PooledDataSource source, RowHost? server, TimeProvider time) =>
        AtAsync(source, server, time, session => session.IsOf(source, server));

    /// <returns>How many there were; null where that is not known.</returns>
    private static async Task<long?> AtAsync(
        PooledDataSource source,
        RowHost? server,
        TimeProvider time,
        Func<PhysicalConnection, bool> which
    )
    {
        using var timeout = new CancellationTokenSource(Patience, time);
        try
        {
            var session = await source.OpenUnpooledAtAsync(server, timeout.Token).ConfigureAwait(false);
            await using var _ = session.ConfigureAwait(false);
            var command = new NpgsqlCommand(Terminate, session);
            await using var __ = command.ConfigureAwait(false);

            // Not before the session is open: until then others may have opened theirs.
            var ours = PhysicalConnection.Which(which);
            command.Parameters.Add(new() { Value = ours.Select(c => c.ProcessId).ToArray() });
            command.Parameters.Add(new() { Value = ours.Select(c => c.Age.TotalSeconds).ToArray() });
            return (long?)await command.ExecuteScalarAsync(timeout.Token).ConfigureAwait(false);
        }
        catch (Exception)
        {
            // Whatever it is, the pool is to be disposed, or the server was replaced: it may be away by now.
            return null;
        }
    }
}
