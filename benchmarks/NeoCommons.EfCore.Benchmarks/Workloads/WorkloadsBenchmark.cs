using NeoCommons.EfCore.Benchmarks.Queries;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks.Workloads;

/// <summary>Every workload, with every number of tenants, over every road, for one caller and for many; of few ways.</summary>
internal sealed class WorkloadsBenchmark
{
    // A caller's connection meets each tenant's table; thirty-two of them would fill the server's memory with so many.
    private const int MostTenantsOfMany = 1_000;

    private static readonly string[] Straight =
    [
        Peers.Limit,
        Peers.NpgsqlAll,
        Peers.Set,
        Peers.Shared,
        Peers.SearchPath,
        Peers.Delivered,
        Peers.Names,
    ];

    // What needs a session of its own is none of these.
    private static readonly string[] Pooled = [Peers.Limit, Peers.NpgsqlAll, Peers.Shared, Peers.Names];

    private readonly TextWriter _report;
    private readonly int _rounds;
    private readonly int _many;
    private readonly TimeSpan _turn;
    private readonly int[] _counts;
    private readonly Tenant[] _tenants;
    private readonly WorkloadsResults _results = new();

    private WorkloadsBenchmark(bool quick, TextWriter report)
    {
        _report = report;
        (_rounds, _turn) = quick ? (1, TimeSpan.FromMilliseconds(10)) : (5, TimeSpan.FromMilliseconds(120));
        _many = quick ? 4 : 32;
        _counts = quick ? [5] : [1, 10, 100, 1_000, 10_000];
        _tenants = [.. Enumerable.Range(0, _counts[^1]).Select(i => MemoryRegistry.NewTenant(i))];
    }

    public static Task RunAsync(bool quick, TextWriter report) =>
        new WorkloadsBenchmark(quick, report).RunAsync($"benchmarks/results/workloads{(quick ? "-quick" : "")}");

    private async Task RunAsync(string path)
    {
        await _report.WriteLineAsync(
            $"Every workload, for each number of tenants at random, over each road, with one caller and with {_many}. Each cell has {_rounds} rounds, one way after the other in an order "
                + $"that is shuffled for each, and as many operations for each way as *{Peers.Limit}* does in {_turn.TotalMilliseconds:0} ms. A number is the median of the "
                + "ratios to that way in the same round, and in brackets the least and the most of them. Of many callers each has rows of its own. "
                + $"Before a number of tenants each way has read once for each of them, and before the inserts inserted, and with {_many} callers {QueriesRun.WarmUpsOfMany(1, 1)} times as often as there are "
                + $"pairs of connection and tenant, up to {MostTenantsOfMany:N0} tenants; after it, what was added is taken out and vacuumed. At a distance each way takes 0.5 ms. "
                + "PgBouncer hands sessions from transaction to transaction, all ways have the same of them, and EF without tenants is without a reset there, as all others are. "
                + $"Ours are without `pool_pre_ping`, on a `DEDICATED` row, but for *{Peers.Delivered}*. {Peers.Metrics}"
        );
        await Console.Error.WriteLineAsync($"workloads: {_tenants.Length:N0} schemas");
        await using var server = await PostgresServer.StartAsync(new() { MaxConnections = 500 });
        await ShopDatabase.CreateAsync(server, _tenants);
        await ShopDatabase.CreateSharedAsync(server, _tenants.Length);
        await ShopDatabase.VacuumAsync(server);
        await CompileAsync(server);
        await OnAsync("direct", server, MemoryRegistry.RowOf(server));
        using (var distance = new DistantServer(server.Host, server.Port, Roads.OneWay))
        {
            await OnAsync("1 ms away", server, Roads.At("127.0.0.1", distance.Port, server));
        }

        await using var pooler = await Roads.PoolAsync(server);
        var pooled = Roads.At(pooler.Host, pooler.Port, server) with { Pooler = PoolerMode.Transaction };
        await OnAsync("PgBouncer", server, pooled);
        using (var distance = new DistantServer(pooler.Host, pooler.Port, Roads.OneWay))
        {
            await OnAsync("PgBouncer, 1 ms away", server, pooled with { Host = "127.0.0.1", Port = distance.Port });
        }

        await _results.WriteAsync(_report);
        await _results.WriteFilesAsync(path);
    }

    private async Task OnAsync(string road, PostgresServer server, DatabaseConnection row)
    {
        foreach (var workers in new[] { 1, _many })
        {
            await using var peers = new Peers(row, _tenants);
            var ways =
                row.Pooler == PoolerMode.Transaction ? peers.BehindTransactionPooler(Pooled) : peers.Of(Straight);
            foreach (var tenants in _counts.Where(count => workers == 1 || count <= MostTenantsOfMany))
            {
                await Console.Error.WriteLineAsync($"workloads: {road}, {workers} callers, {tenants:N0} tenants");
                await WarmUpAsync(ways, Workload.Read, workers, tenants);
                foreach (var workload in Workload.All)
                {
                    if (workload == Workload.Insert)
                    {
                        await WarmUpAsync(ways, workload, workers, tenants);
                    }

                    var operations = await OfATurnAsync(ways[0], workload, workers, tenants);
                    var measured = await Rounds.InTurnAsync(
                        _rounds,
                        ways,
                        (way, round) => Measured.OfAsync(way, workload, operations, workers, tenants, round)
                    );
                    _results.Add(new(road, workers, workload.Name, tenants, measured));
                }

                await ShopDatabase.CleanAsync(server, _tenants.Take(tenants));
            }
        }
    }

    /// <summary>How many operations, as <see cref="Measured"/> counts them, the way without tenants does in one turn.</summary>
    private async Task<int> OfATurnAsync(Peer limit, Workload workload, int workers, int tenants)
    {
        var few = 10 * workers * workload.Weight;
        var measured = await Measured.OfAsync(limit, workload, few, workers, tenants, round: 0);
        var operations = _turn.TotalMicroseconds / measured.Microseconds;
        return (int)Math.Max(operations, 4 * workers) * workload.Weight;
    }

    private static async Task WarmUpAsync(IReadOnlyList<Peer> ways, Workload workload, int workers, int tenants)
    {
        foreach (var way in ways)
        {
            if (workers > 1)
            {
                var times = QueriesRun.WarmUpsOfMany(workers, tenants);
                await Measured.OfAsync(way, workload, times, workers, tenants, round: 0);
                continue;
            }

            for (var tenant = 0; tenant < tenants; tenant++)
            {
                await workload.Once(way, tenant, 1);
            }
        }
    }

    // Whoever comes first would be measured while the runtime still compiles.
    private async Task CompileAsync(PostgresServer server)
    {
        var times = _rounds == 1 ? 20 : 400;
        await using var peers = new Peers(MemoryRegistry.RowOf(server), _tenants);
        var ways = peers.Of(Straight);
        foreach (var workload in Workload.All)
        {
            foreach (var way in ways)
            {
                await Measured.OfAsync(way, workload, times * workload.Weight, workers: 1, tenants: 1, round: 0);
            }
        }

        await ShopDatabase.CleanAsync(server, _tenants.Take(1));
    }
}
