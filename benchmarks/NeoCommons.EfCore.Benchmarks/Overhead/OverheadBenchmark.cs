using NeoCommons.EfCore.Benchmarks.Queries;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks.Overhead;

/// <summary>What this library itself adds to EF: one tenant, so that the server does the same work, and many operations.</summary>
internal static class OverheadBenchmark
{
    // The last one is the driver twice: how far the ratio of the same work is from one tells how exact the others are.
    private static readonly string[] Ways =
    [
        Peers.Limit,
        Peers.LimitWithoutReset,
        Peers.Names,
        Peers.SearchPath,
        Peers.Npgsql,
        Peers.NpgsqlAll,
    ];

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        var (rounds, operations) = quick ? (5, 1_000) : (15, 2_000);
        Tenant[] tenants = [MemoryRegistry.NewTenant(0)];
        await using var server = await PostgresServer.StartAsync();
        await ShopDatabase.CreateAsync(server, tenants);
        await using var peers = new Peers(MemoryRegistry.RowOf(server), tenants);
        var ways = peers.Of(Ways);
        var goals = new GoalsTable();
        await report.WriteLineAsync(
            $"One tenant, one caller, {operations:N0} operations in each of {rounds} rounds, one way after the other in an order that is shuffled for each. The ratio of "
                + $"*{Peers.NpgsqlAll}* is to *{Peers.Npgsql}*, which is the same work: so exact is this machine. The client's processor is what this "
                + "process takes in all its threads, the kernel's work for it included: while it waits for the server it takes none. Threads do "
                + "not spin for work (`DOTNET_ThreadPool_UnfairSemaphoreSpinLimit=0`), which would count, and the time of which depends on "
                + $"the machine. {Peers.Metrics}"
        );
        foreach (var workload in new[] { Workload.Read, Workload.Insert })
        {
            await Console.Error.WriteLineAsync($"overhead: {workload.Name}");
            var measured = await Rounds.InTurnAsync(
                rounds,
                ways,
                (peer, round) => Measured.OfAsync(peer, workload, operations, workers: 1, tenants: 1, round)
            );
            await WaysTable.WriteAsync(
                report,
                $"{workload.Name}: ratio to no tenants",
                measured,
                way => way == Peers.NpgsqlAll ? Peers.Npgsql : Peers.Limit,
                withProcessor: true
            );
            var limit = Of(Peers.Limit);
            foreach (var ours in new[] { Peers.Names, Peers.SearchPath })
            {
                goals.AtMost(
                    $"{workload.Name}, {ours}, to no tenants: at most 1.05",
                    Measured.Ratio(Of(ours), limit),
                    1.05
                );
                goals.Show(
                    $"{workload.Name}, {ours}, the client's processor, to no tenants",
                    Measured.ProcessorRatio(Of(ours), limit)
                );
                goals.AtMost(
                    $"{workload.Name}, {ours}: at most 512 bytes more than no tenants",
                    Measured.MedianBytes(Of(ours)) - Measured.MedianBytes(limit),
                    512
                );
            }

            IReadOnlyList<Measured> Of(string name) => measured.Single(way => way.Way.Name == name).Measured;
        }

        await report.WriteLineAsync();
        await goals.WriteAsync(report);
    }
}
