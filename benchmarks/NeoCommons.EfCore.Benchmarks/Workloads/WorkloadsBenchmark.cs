using NeoCommons.EfCore.Benchmarks.Queries;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks.Workloads;

/// <summary>Every workload, with every number of tenants, over every road, for one caller and for many; of few ways.</summary>
internal sealed class WorkloadsBenchmark
{
    private const int Many = 32;

    // A caller's connection meets each tenant's table; thirty-two of them would fill the server's memory with so many.
    private const int MostTenantsOfMany = 1_000;

    private static readonly string[] Straight = [Peers.Limit, Peers.Set, Peers.Shared, Peers.SearchPath, Peers.Names];

    // What needs a session of its own is none of these.
    private static readonly string[] Pooled = [Peers.Limit, Peers.Shared, Peers.Names];

    private readonly TextWriter _report;
    private readonly int _rounds;
    private readonly int _operations;
    private readonly int[] _counts;
    private readonly Tenant[] _tenants;
    private readonly WorkloadsResults _results = new();

    private WorkloadsBenchmark(bool quick, TextWriter report)
    {
        _report = report;
        (_rounds, _operations) = quick ? (1, 32) : (3, 320);
        _counts = quick ? [10] : [1, 10, 100, 1_000, 10_000];
        _tenants = [.. Enumerable.Range(0, _counts[^1]).Select(i => MemoryRegistry.NewTenant(i))];
    }

    public static Task RunAsync(bool quick, TextWriter report) =>
        new WorkloadsBenchmark(quick, report).RunAsync($"benchmarks/results/workloads{(quick ? "-quick" : "")}");

    private async Task RunAsync(string path)
    {
        await _report.WriteLineAsync(
            $"{_operations:N0} point reads with one caller and twice as many with {Many}, or fewer of what takes longer, in each of {_rounds} rounds, one way after the other "
                + $"in an order that is shuffled for each; tenants at random. Ratios are of the same round with *{Peers.Limit}*, whose microseconds are beside them: their "
                + $"medians. Before a number of tenants each way has read once for each of them, and with {Many} callers {QueriesRun.WarmUpsOfMany(1, 1)} times as often as there are "
                + $"pairs of connection and tenant, up to {MostTenantsOfMany:N0} tenants. At a distance each way takes 0.5 ms. PgBouncer hands sessions from transaction to transaction, "
                + $"and all ways have the same of them. Ours are without `pool_pre_ping`, on a `DEDICATED` row. `queries` measures fewer cells, more ways, and more exactly. {Peers.Metrics}"
        );
        await Console.Error.WriteLineAsync($"workloads: {_tenants.Length:N0} schemas");
        await using var server = await PostgresServer.StartAsync(new() { MaxConnections = 500 });
        await ShopDatabase.CreateAsync(server, _tenants);
        await ShopDatabase.CreateSharedAsync(server, _tenants.Length);
        await ShopDatabase.VacuumAsync(server);
        await OnAsync("direct", MemoryRegistry.RowOf(server));
        using (var distance = new DistantServer(server.Host, server.Port, Roads.OneWay))
        {
            await OnAsync("1 ms away", Roads.At("127.0.0.1", distance.Port, server));
        }

        await using var pooler = await Roads.PoolAsync(server);
        var pooled = Roads.At(pooler.Host, pooler.Port, server) with { Pooler = PoolerMode.Transaction };
        await OnAsync("PgBouncer", pooled);
        using (var distance = new DistantServer(pooler.Host, pooler.Port, Roads.OneWay))
        {
            await OnAsync("PgBouncer, 1 ms away", pooled with { Host = "127.0.0.1", Port = distance.Port });
        }

        await _results.WriteAsync(_report);
        await _results.WriteFilesAsync(path);
    }

    private async Task OnAsync(string road, DatabaseConnection row)
    {
        foreach (var workers in new[] { 1, Many })
        {
            await using var peers = new Peers(row, _tenants);
            var ways =
                row.Pooler == PoolerMode.Transaction ? peers.BehindTransactionPooler(Pooled) : peers.Of(Straight);
            foreach (var tenants in _counts.Where(count => workers == 1 || count <= MostTenantsOfMany))
            {
                await Console.Error.WriteLineAsync($"workloads: {road}, {workers} callers, {tenants:N0} tenants");
                await WarmUpAsync(ways, workers, tenants);
                foreach (var workload in Workload.All)
                {
                    var measured = await Rounds.InTurnAsync(
                        _rounds,
                        ways,
                        (way, round) =>
                            Measured.OfAsync(
                                way,
                                workload,
                                _operations * (workers == 1 ? 1 : 2),
                                workers,
                                tenants,
                                round
                            )
                    );
                    _results.Add(new(road, workers, workload.Name, tenants), measured);
                }
            }
        }
    }

    private static async Task WarmUpAsync(IReadOnlyList<Peer> ways, int workers, int tenants)
    {
        foreach (var way in ways)
        {
            if (workers > 1)
            {
                var times = QueriesRun.WarmUpsOfMany(workers, tenants);
                await Measured.OfAsync(way, Workload.Read, times, workers, tenants, round: 0);
                continue;
            }

            for (var tenant = 0; tenant < tenants; tenant++)
            {
                await Workload.Read.Once(way, tenant, 1);
            }
        }
    }
}
