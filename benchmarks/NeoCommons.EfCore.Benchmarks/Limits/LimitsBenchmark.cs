using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;

namespace NeoCommons.EfCore.Benchmarks.Limits;

/// <summary>What the limits add to an open that has to wait for nobody: a tenant's limiter, its permit, the pool's.</summary>
internal static class LimitsBenchmark
{
    private const int Tenants = 1_000;
    private const int Rounds = 9;

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        var opens = quick ? 1_000_000 : 10_000_000;
        using var source = new PooledDataSource(
            new DatabaseConnection
            {
                Name = "db",
                Host = "localhost",
                Database = "db",
                Username = "app",
                Password = Secret.FromText("not used"),
            },
            new ConnectionOptions(),
            NullLoggerFactory.Instance,
            TimeProvider.System
        );
        var tenants = Enumerable.Range(0, Tenants).Select(i => MemoryRegistry.NewTenant(i)).ToArray();

        await report.WriteLineAsync($"{Tenants} tenants, {opens} opens, the median of {Rounds} rounds");
        await report.WriteLineAsync();
        await report.WriteLineAsync("| what an open and a close take and give back | ns | bytes |");
        await report.WriteLineAsync("|---|---|---|");
        await LineAsync("on one thread", 1);
        await LineAsync("on each of two threads at once", 2);

        async Task LineAsync(string name, int threads)
        {
            var times = new List<double>();
            long bytes = 0;
            for (var round = 0; round < Rounds; round++)
            {
                var count = opens / Rounds;
                var watch = Stopwatch.StartNew();
                var took = await Task.WhenAll(
                    Enumerable
                        .Range(0, threads)
                        .Select(_ =>
                            Task.Factory.StartNew(
                                () => Open(count),
                                CancellationToken.None,
                                TaskCreationOptions.LongRunning,
                                TaskScheduler.Default
                            )
                        )
                );
                times.Add(watch.Elapsed.TotalNanoseconds / count);
                bytes = took.Max() / count;
            }

            await report.WriteLineAsync(Numbers.Text($"| {name} | {Numbers.Median(times):0} | {bytes} |"));
        }

        long Open(int count)
        {
            // A pooled context keeps its own from lease to lease.
            var permits = new ConnectionPermits();
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < count; i++)
            {
                permits.Limiter = source.Tenants.Enter(tenants[i % Tenants], source.Row);
                if (!permits.TryTake(source))
                {
                    throw new InvalidOperationException("Nobody has to wait here.");
                }

                permits.End();
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }
}
