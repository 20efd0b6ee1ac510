using NeoCommons.EfCore.Benchmarks.Queries;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks.Overhead;

/// <summary>What this library itself adds to EF: one tenant, so that the server does the same work, and many operations.</summary>
internal static class OverheadBenchmark
{
    public static readonly IReadOnlyList<string> Ways =
    [
        Peers.Limit,
        Peers.LimitAgain,
        Peers.LimitWithoutReset,
        Peers.Names,
        Peers.SearchPath,
        Peers.Npgsql,
    ];

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        await report.WriteLineAsync(
            $"{SizeOf(quick)} *{Peers.LimitAgain}* is the same work with another pool: what its ratio differs from one by, and how far its rounds lie apart, is how exact the other "
                + $"ratios are. {Peers.Metrics}"
        );
        var goals = new GoalsTable();
        var lines = new List<string>();
        await MeasureAsync(
            "overhead",
            quick,
            async (workload, measured) =>
            {
                await WaysTable.WriteAsync(report, $"{workload.Name}: ratio to no tenants", measured, _ => Peers.Limit);
                var limit = Of(measured, Peers.Limit);
                goals.Show(
                    $"{workload.Name}, the same work twice",
                    Measured.Ratio(Of(measured, Peers.LimitAgain), limit)
                );
                foreach (var name in new[] { Peers.Names, Peers.SearchPath })
                {
                    var ours = Of(measured, name);
                    goals.AtMost(
                        $"{workload.Name}, {name}, to no tenants: at most 1.05",
                        Measured.Ratio(ours, limit),
                        1.05
                    );
                    goals.ShowMore($"{workload.Name}, {name}: more than no tenants", Measured.More(ours, limit));
                    goals.AtMost(
                        $"{workload.Name}, {name}: at most 512 bytes more than no tenants",
                        Measured.MedianBytes(ours) - Measured.MedianBytes(limit),
                        512
                    );
                }

                lines.AddRange(measured.SelectMany(way => Measured.Lines(workload.Name, way.Way.Name, way.Measured)));
            }
        );
        await report.WriteLineAsync();
        await goals.WriteAsync(report);
        await Csv.WriteAsync($"benchmarks/results/overhead{(quick ? "-quick" : "")}.csv", Measured.Columns, lines);
    }

    /// <summary>What is measured, in a sentence.</summary>
    public static string SizeOf(bool quick)
    {
        var (rounds, operations) = RoundsOf(quick);
        return $"One tenant, one caller, {operations:N0} operations in each of {rounds} rounds, one way after the other in an order that is shuffled for each.";
    }

    /// <summary>Measures the ways, and hands over what came of each workload.</summary>
    public static async Task MeasureAsync(
        string name,
        bool quick,
        Func<Workload, IReadOnlyList<(Peer Way, IReadOnlyList<Measured> Measured)>, Task> take
    )
    {
        var (rounds, operations) = RoundsOf(quick);
        Tenant[] tenants = [MemoryRegistry.NewTenant(0)];
        await using var server = await PostgresServer.StartAsync(new() { MaxConnections = 300 });
        await ShopDatabase.CreateAsync(server, tenants);
        await using var peers = new Peers(MemoryRegistry.RowOf(server), tenants);
        var ways = peers.Of(Ways);
        foreach (var workload in new[] { Workload.Read, Workload.Insert })
        {
            await Console.Error.WriteLineAsync($"{name}: {workload.Name}");
            await take(
                workload,
                await Rounds.InTurnAsync(
                    rounds,
                    ways,
                    (peer, round) => Measured.OfAsync(peer, workload, operations, workers: 1, tenants: 1, round)
                )
            );
        }
    }

    /// <summary>What was measured of a way.</summary>
    public static IReadOnlyList<Measured> Of(
        IReadOnlyList<(Peer Way, IReadOnlyList<Measured> Measured)> measured,
        string name
    ) => measured.Single(way => way.Way.Name == name).Measured;

    private static (int Rounds, int Operations) RoundsOf(bool quick) => quick ? (3, 300) : (21, 2_000);
}
