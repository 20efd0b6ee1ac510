using NeoCommons.EfCore.Benchmarks.Overhead;
using NeoCommons.EfCore.Benchmarks.Queries;

namespace NeoCommons.EfCore.Benchmarks.Processor;

/// <summary>The client's processor time of what <see cref="OverheadBenchmark"/> measures, in a process whose threads do not spin for work.</summary>
internal static class ProcessorBenchmark
{
    public static async Task RunAsync(bool quick, TextWriter report)
    {
        await report.WriteLineAsync(
            $"{OverheadBenchmark.SizeOf(quick)} The client's processor is what this process takes in all its threads, the kernel's work for it included: while it waits for the server it "
                + "takes none. Threads do not spin for work (`DOTNET_ThreadPool_UnfairSemaphoreSpinLimit=0`), which would count; so an operation takes longer here than in an application, "
                + $"whose ratios `overhead` has. *{Peers.LimitAgain}* is the same work with another pool: so exact are the others. {Peers.Metrics}"
        );
        var goals = new GoalsTable();
        var lines = new List<string>();
        await OverheadBenchmark.MeasureAsync(
            "processor",
            quick,
            async (workload, measured) =>
            {
                await WaysTable.WriteAsync(
                    report,
                    $"{workload.Name}: ratio to no tenants",
                    measured,
                    _ => Peers.Limit,
                    withProcessor: true
                );
                var limit = OverheadBenchmark.Of(measured, Peers.Limit);
                foreach (var name in new[] { Peers.LimitAgain, Peers.Names, Peers.SearchPath })
                {
                    goals.Show(
                        $"{workload.Name}, {name}: the client's processor, to no tenants",
                        Measured.ProcessorRatio(OverheadBenchmark.Of(measured, name), limit)
                    );
                }

                lines.AddRange(measured.SelectMany(way => Measured.Lines(workload.Name, way.Way.Name, way.Measured)));
            }
        );
        await Csv.WriteAsync($"benchmarks/results/processor{(quick ? "-quick" : "")}.csv", Measured.Columns, lines);
        await report.WriteLineAsync();
        await goals.WriteAsync(report);
    }
}
