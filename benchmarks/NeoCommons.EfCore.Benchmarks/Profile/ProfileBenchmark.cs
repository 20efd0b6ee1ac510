using NeoCommons.EfCore.Benchmarks.Queries;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks.Profile;

/// <summary>Where the client's processor time goes: EF without tenants, and ours.</summary>
internal static class ProfileBenchmark
{
    private const int AtOnce = 200;
    private static readonly string[] Ways = [Peers.Limit, Peers.SearchPath, Peers.Names];

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        var (most, warmUps, seconds) = quick ? (20, 2_000, 2) : (1_000, 10_000, 10);
        Tenant[] tenants = [.. Enumerable.Range(0, most).Select(i => MemoryRegistry.NewTenant(i))];
        await using var server = await PostgresServer.StartAsync();
        await ShopDatabase.CreateAsync(server, tenants);
        await ShopDatabase.VacuumAsync(server);
        await using var peers = new Peers(MemoryRegistry.RowOf(server), tenants);
        var ways = peers.Of(Ways);
        await report.WriteLineAsync(
            $"Sampled by perf for {seconds} s each, after {warmUps:N0} operations; one caller. Microseconds are of the client's processor for one "
                + "operation, in all its threads: what waits takes none, and threads do not spin for work "
                + "(`DOTNET_ThreadPool_UnfairSemaphoreSpinLimit=0`). *By itself*: what the code of an assembly takes. *With what it calls*: with "
                + "the runtime's work too, where it was the last to call it. The kernel's work is mostly sending, receiving, and waking threads, "
                + "for the driver. Methods of ours: the mean of all that was profiled, and *in all* with everything that was called from it "
                + "until it first waited; what comes after that begins at the socket, and counts for those that it goes on in."
        );
        var all = new List<Profiled>();
        foreach (var workload in new[] { Workload.Read, Workload.Insert })
        {
            foreach (var count in new[] { 1, most })
            {
                foreach (var way in ways)
                {
                    await Console.Error.WriteLineAsync($"profile: {workload.Name}, {count:N0} tenants, {way.Name}");
                    await Measured.OfAsync(way, workload, warmUps, workers: 1, count, round: 0);
                    all.Add(await ProfileAsync(way, workload, count, TimeSpan.FromSeconds(seconds)));
                }

                await OwnersTable.WriteAsync(
                    report,
                    $"{workload.Name}, {(count == 1 ? "one tenant" : $"{count:N0} tenants")}",
                    all[^ways.Count..]
                );
            }
        }

        foreach (var way in all.GroupBy(p => p.Way).Where(way => way.Key != Peers.Limit))
        {
            await MethodsTable.WriteAsync(report, way.Key, [.. way]);
            await DifferencesTable.WriteAsync(report, [.. way], [.. all.Where(p => p.Way == Peers.Limit)]);
        }

        PerfProfile.DeleteNames();
    }

    private static async Task<Profiled> ProfileAsync(Peer way, Workload workload, int tenants, TimeSpan time)
    {
        var rounds = new List<Measured>();
        var stacks = await PerfProfile.RecordAsync(
            time,
            async () => rounds.Add(await Measured.OfAsync(way, workload, AtOnce, workers: 1, tenants, rounds.Count + 1))
        );
        return new Profiled(way.Name, rounds.Average(m => m.Processor), stacks);
    }
}
