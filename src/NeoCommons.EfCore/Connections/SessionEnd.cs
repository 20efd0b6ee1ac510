using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Has the server end the sessions of a pool that are still in use when nobody may wait for them, or use them, any more.</summary>
/// <remarks>
/// A command that runs cannot be reached through the driver but by who has it, and closing the socket would let the server
/// work on. From another session it is one statement.
/// </remarks>
internal static class SessionEnd
{
    // By its name and user too: a number may be another session's by now, of this application at worst.
    private const string Terminate = """
        SELECT count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity
        WHERE pid = ANY ($1) AND pid <> pg_catalog.pg_backend_pid()
            AND usename = current_user AND application_name = pg_catalog.current_setting('application_name')
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
    /// next look where that was of no use.
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
                host.Ending = AtAsync(source, host, time, below: pools.Guard.Newest);
            }
        }
    }

    /// <summary>Ends those at one of several servers; false where that could not be done.</summary>
    /// <param name="source">The pool.</param>
    /// <param name="server">The server; null where the row names one only.</param>
    /// <param name="time">The clock.</param>
    /// <param name="below">Only those that were opened on an earlier timeline; null: all.</param>
    public static async Task<bool> AtAsync(
        PooledDataSource source,
        RowHost? server,
        TimeProvider time,
        long? below = null
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
            command.Parameters.Add(new() { Value = PhysicalConnection.ProcessesOf(source, server, below) });
            await command.ExecuteNonQueryAsync(timeout.Token).ConfigureAwait(false);
            return true;
        }
        catch (Exception)
        {
            // Whatever it is, the pool is to be disposed, or the server was replaced: it may be away by now.
            return false;
        }
    }
}
