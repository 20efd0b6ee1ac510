using System.Diagnostics;

namespace NeoCommons.EfCore.Benchmarks.Limits;

/// <summary>What limits cost where many threads use one tenant, and do nothing else.</summary>
internal static class LimitsOfOneTenant
{
    private const int Threads = 8;
    private const int OfThread = 50_000;
    private const double Goal = 1_000;

    public static async Task RunAsync(int rounds, TextWriter report)
    {
        using var unlimited = new LimitsBenchmark();
        unlimited.SetUp();
        using var limited = new LimitsBenchmark();
        limited.SetUpCommands();
        var measured = await Rounds.InTurnAsync(
            rounds,
            new (string Name, Action<ConnectionPermits> Once)[]
            {
                ("an open and a close", permits => unlimited.Use(permits, unlimited.Tenants[0])),
                ("a command of EF, no `commands_per_second`", _ => unlimited.Limiters[0].CountCommand(null)),
                ("a command of EF, `commands_per_second` set", _ => limited.Limiters[0].CountCommand(null)),
            },
            (way, _) => Task.Run(() => Measure(way.Once))
        );
        await report.WriteLineAsync();
        await report.WriteLineAsync(
            $"| {Threads} threads on one tenant, {OfThread:N0} times each | processor time of each, ns (goal: {Goal:N0}) | elapsed, of all together, ns |"
        );
        await report.WriteLineAsync("|---|---|---|");
        foreach (var (way, all) in measured)
        {
            var processor = Numbers.Median([.. all.Select(a => a.Processor)]);
            await report.WriteLineAsync(
                Numbers.Text(
                    $"| {way.Name} | {processor:0}{(processor > Goal ? " MISSED" : "")} | {Numbers.Median([.. all.Select(a => a.Elapsed)]):0} |"
                )
            );
        }
    }

    private static (double Processor, double Elapsed) Measure(Action<ConnectionPermits> once)
    {
        var threads = Enumerable
            .Range(0, Threads)
            .Select(_ => new Thread(() =>
            {
                var permits = new ConnectionPermits();
                for (var i = 0; i < OfThread; i++)
                {
                    once(permits);
                }
            }))
            .ToList();
        var processor = Environment.CpuUsage.TotalTime;
        var watch = Stopwatch.StartNew();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        const double Times = Threads * OfThread;
        return (
            (Environment.CpuUsage.TotalTime - processor).TotalNanoseconds / Times,
            watch.Elapsed.TotalNanoseconds / Times
        );
    }
}
