namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>Measures workloads, a table of the report for each, and keeps what came of it.</summary>
/// <param name="report">Where the tables are written.</param>
/// <param name="rounds">How many rounds each has.</param>
internal sealed class QueriesRun(TextWriter report, int rounds)
{
    private readonly Dictionary<(string Table, string Way), IReadOnlyList<Measured>> _measured = [];

    public int Rounds => rounds;

    public IReadOnlyDictionary<(string Table, string Way), IReadOnlyList<Measured>> Results => _measured;

    /// <summary>How many operations come before those of many callers, so that each connection has met each tenant.</summary>
    public static int WarmUpsOfMany(int workers, int tenants) => 3 * workers * tenants;

    public async Task MeasureAsync(
        Workload workload,
        string table,
        IReadOnlyList<Peer> peers,
        int operations,
        int workers,
        int tenants
    )
    {
        await Console.Error.WriteLineAsync($"queries: {table}");
        foreach (var peer in peers)
        {
            await WarmUpAsync(peer, workload, operations, workers, tenants);
        }

        var all = await Benchmarks.Rounds.InTurnAsync(
            rounds,
            peers,
            (peer, round) => Measured.OfAsync(peer, workload, operations, workers, tenants, round)
        );
        await WaysTable.WriteAsync(report, table, all, _ => Peers.Limit);
        foreach (var (peer, measured) in all)
        {
            _measured[(table, peer.Name)] = measured;
        }
    }

    /// <summary>How many statements the ways that prepare them have on a connection, after a table.</summary>
    public async Task WritePreparedAsync(IReadOnlyList<Peer> peers)
    {
        var counts = new List<string>();
        foreach (var peer in peers.Where(peer => peer.Prepares))
        {
            counts.Add($"*{peer.Name}*: {await peer.CountPreparedAsync()}");
        }

        await report.WriteLineAsync();
        await report.WriteLineAsync($"Prepared statements on the connection by then: {string.Join("; ", counts)}.");
    }

    // Whatever the way, a session reads a table's description when it first meets the table. After that, what the way has of its own is
    // compiled for good.
    private static async Task WarmUpAsync(Peer peer, Workload workload, int operations, int workers, int tenants)
    {
        if (workers > 1)
        {
            var times = WarmUpsOfMany(workers, tenants);
            await Measured.OfAsync(peer, workload, times, workers, tenants, round: 0);
            return;
        }

        if (peer.SlownessWith(tenants) == 1)
        {
            for (var tenant = 0; tenant < Math.Min(tenants, peer.MostTenants); tenant++)
            {
                await workload.Once(peer, tenant, 1);
            }
        }

        await Measured.OfAsync(peer, workload, operations * 3 / 2, workers, tenants, round: 0);
    }
}
