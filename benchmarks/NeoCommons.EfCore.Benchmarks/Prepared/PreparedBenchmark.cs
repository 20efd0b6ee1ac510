using NeoCommons.EfCore.Benchmarks.Queries;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks.Prepared;

/// <summary>What prepared statements bring where each tenant has its own: many tenants, who take turns.</summary>
internal static class PreparedBenchmark
{
    // The server keeps a plan from a statement's sixth execution on.
    private const int UsesBefore = 8;

    private static readonly string[] Ways =
    [
        Peers.Limit,
        Peers.LimitPrepared,
        Peers.NpgsqlAll,
        Peers.NpgsqlPrepared,
        Peers.Names,
        Peers.Fastest,
        Peers.FastestOfMany,
    ];

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        var (rounds, operations, count) = quick ? (3, 300, 100) : (9, 2_000, 1_000);
        Tenant[] tenants = [.. Enumerable.Range(0, count).Select(i => MemoryRegistry.NewTenant(i))];
        await using var server = await PostgresServer.StartAsync(new() { MaxConnections = 1_000 });
        await ShopDatabase.CreateAsync(server, tenants);
        await ShopDatabase.CreateSharedAsync(server, 1);
        await ShopDatabase.VacuumAsync(server);
        await using var peers = new Peers(MemoryRegistry.RowOf(server), tenants);
        var ways = peers.Of(Ways);
        await report.WriteLineAsync(
            $"{count:N0} tenants at random, one caller, {operations:N0} operations in each of {rounds} rounds, one way after the other in an order "
                + $"that is shuffled for each. Before that, each way does the work {UsesBefore} times for each tenant. Ratios are to *{Peers.Limit}*. "
                + $"*{Peers.FastestOfMany}*: `SessionReset=WhenUsed`, `MaxPreparedStatements=5000`, `PrepareAfterUses=1`. Goal for it: 0.80. "
                + Peers.Metrics
        );
        var goals = new GoalsTable();
        foreach (var workload in new[] { Workload.Read, Workload.Insert })
        {
            await Console.Error.WriteLineAsync($"prepared: {workload.Name}");
            foreach (var way in ways)
            {
                for (var use = 0; use < UsesBefore * count; use++)
                {
                    await workload.Once(way, use % count, 1);
                }
            }

            var measured = await Rounds.InTurnAsync(
                rounds,
                ways,
                (way, round) => Measured.OfAsync(way, workload, operations, workers: 1, count, round)
            );
            await WaysTable.WriteAsync(report, $"{workload.Name}: ratio to no tenants", measured, _ => Peers.Limit);
            var (fastest, limit) = (Of(Peers.FastestOfMany), Of(Peers.Limit));
            goals.AtMost(
                $"{workload.Name}, {Peers.FastestOfMany}, to no tenants: at most 0.80",
                Measured.Ratio(fastest, limit),
                0.80
            );
            await report.WriteLineAsync();
            foreach (var way in ways.Where(way => way.Prepares))
            {
                await report.WriteLineAsync(
                    Numbers.Text($"- prepared on its connection: *{way.Name}* {await way.CountPreparedAsync():N0}")
                );
            }

            IReadOnlyList<Measured> Of(string name) => measured.Single(way => way.Way.Name == name).Measured;
        }

        await report.WriteLineAsync();
        await goals.WriteAsync(report);
    }
}
