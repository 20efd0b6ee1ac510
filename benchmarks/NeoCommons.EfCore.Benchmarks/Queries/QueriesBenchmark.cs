using System.Diagnostics;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>What a tenant costs a query: our ways beside those of others, and beside no tenants at all, in turn.</summary>
internal static class QueriesBenchmark
{
    private static readonly Dictionary<string, Func<Peer, int, int, Task>> Workloads = new()
    {
        ["point read"] = (peer, tenant, id) => peer.ReadAsync(tenant, id),
        ["list of 50"] = (peer, tenant, _) => peer.ListAsync(tenant),
        ["insert of 1"] = (peer, tenant, _) => peer.InsertAsync(tenant, 1),
        ["insert of 100"] = (peer, tenant, _) => peer.InsertAsync(tenant, 100),
        ["transaction of 3"] = (peer, tenant, id) => peer.UpdateAsync(tenant, id),
    };

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        var tenants = quick ? 100 : 1_000;
        var rounds = quick ? 3 : 7;
        var operations = quick ? 100 : 400;
        await using var server = await PostgresServer.StartAsync();
        await using var shops = await Shops.StartAsync(server, tenants);
        await report.WriteLineAsync(
            $"{tenants:N0} tenants at random, through a proxy on this machine that counts; {operations} operations in each of {rounds} "
                + $"rounds, one way after the other. Ratios are of the same round with *{Shops.Limit}*: their median, and the middle half of "
                + "them. Round trips and bytes are of one operation. Ours are without `pool_pre_ping`, which the others do not have."
        );
        foreach (var (workload, once) in Workloads)
        {
            await MeasureAsync(workload, once, workers: 1, TimeSpan.Zero);
        }

        await MeasureAsync("point read", Workloads["point read"], workers: 32, TimeSpan.Zero);
        await MeasureAsync("insert of 1", Workloads["insert of 1"], workers: 32, TimeSpan.Zero);
        await MeasureAsync("point read", Workloads["point read"], workers: 1, TimeSpan.FromMilliseconds(1));

        async Task MeasureAsync(string workload, Func<Peer, int, int, Task> once, int workers, TimeSpan latency)
        {
            shops.Proxy.Latency = latency;
            var all = await Rounds.InTurnAsync(
                rounds,
                shops.Peers,
                peer =>
                {
                    var count = Math.Max(workers, operations / peer.Slowness / (workload == "insert of 100" ? 5 : 1));
                    return OnceAsync(peer, once, count, workers, tenants, shops.Proxy);
                }
            );

            shops.Proxy.Latency = TimeSpan.Zero;
            await report.WriteLineAsync();
            await report.WriteLineAsync(
                $"| {workload}, {workers} {(workers == 1 ? "worker" : "workers")}{(latency > TimeSpan.Zero ? ", 1 ms each way" : "")} | us | ratio | middle half | round trips | bytes |"
            );
            await report.WriteLineAsync("|---|---|---|---|---|---|");
            var limit = all.Single(p => p.Way.Name == Shops.Limit).Measured;
            foreach (var (peer, measured) in all)
            {
                double[] ratios = [.. measured.Zip(limit, (m, l) => m.Microseconds / l.Microseconds).Order()];
                await report.WriteLineAsync(
                    Numbers.Text(
                        $"| {peer.Name} | {Numbers.Median([.. measured.Select(m => m.Microseconds)]):0} | {ratios[ratios.Length / 2]:0.00} | {ratios[ratios.Length / 4]:0.00}-{ratios[ratios.Length * 3 / 4]:0.00} | {Numbers.Median([.. measured.Select(m => m.RoundTrips)]):0.00} | {Numbers.Median([.. measured.Select(m => m.Bytes)]):0} |"
                    )
                );
            }
        }
    }

    private static async Task<Measured> OnceAsync(
        Peer peer,
        Func<Peer, int, int, Task> once,
        int count,
        int workers,
        int tenants,
        TcpFaultProxy proxy
    )
    {
        proxy.ResetCounters();
        var bytes = GC.GetTotalAllocatedBytes();
        var watch = Stopwatch.StartNew();
        await Task.WhenAll(
            Enumerable
                .Range(0, workers)
                .Select(worker =>
                    Task.Run(async () =>
                    {
                        // The same tenants for all ways.
                        var random = new Random(worker);
                        for (var i = 0; i < count / workers; i++)
                        {
                            await once(peer, random.Next(tenants), random.Next(1, Peer.Products));
                        }
                    })
                )
        );
        var operations = count / workers * workers;
        return new Measured(
            watch.Elapsed.TotalMicroseconds / operations,
            (double)proxy.Counters.RoundTrips / operations,
            (double)(GC.GetTotalAllocatedBytes() - bytes) / operations
        );
    }

    private sealed record Measured(double Microseconds, double RoundTrips, double Bytes);
}
