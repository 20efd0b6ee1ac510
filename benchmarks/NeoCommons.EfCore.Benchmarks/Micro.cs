using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Perfolizer.Horology;

namespace NeoCommons.EfCore.Benchmarks;

/// <summary>What takes nanoseconds, measured by BenchmarkDotNet: in this process, which is built and set up already.</summary>
internal static class Micro
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);

    /// <summary>Measures the benchmarks of a class, and writes their table.</summary>
    /// <returns>The mean of each in nanoseconds, by its description.</returns>
    public static async Task<IReadOnlyDictionary<string, double>> RunAsync<TBenchmarks>(bool quick, TextWriter report)
    {
        await Console.Error.WriteLineAsync($"micro: {typeof(TBenchmarks).Name}");
        var artifacts = Directory.CreateTempSubdirectory("benchmarks-");
        try
        {
            var log = new AccumulationLogger();
            var summary = await Task.Run(() =>
                BenchmarkRunner.Run<TBenchmarks>(
                    ManualConfig
                        .CreateEmpty()
                        .AddJob(
                            (
                                quick ? Job.ShortRun.WithIterationTime(TimeInterval.FromMilliseconds(100)) : Job.Default
                            ).WithToolchain(new InProcessEmitToolchain(Longest, logOutput: true))
                        )
                        .AddDiagnoser(new MemoryDiagnoser(new(displayGenColumns: false)))
                        .AddColumnProvider(DefaultColumnProviders.Descriptor, DefaultColumnProviders.Statistics)
                        .AddColumnProvider(DefaultColumnProviders.Metrics)
                        .AddLogger(log)
                        .WithArtifactsPath(artifacts.FullName)
                )
            );
            if (summary.HasCriticalValidationErrors || summary.Reports.Any(r => !r.Success))
            {
                throw new InvalidOperationException(
                    $"A benchmark of {typeof(TBenchmarks).Name} has failed: {log.GetLog()}"
                );
            }

            var table = new AccumulationLogger();
            MarkdownExporter.GitHub.ExportToLog(summary, table);
            foreach (var line in table.GetLog().Split('\n').Where(line => line.StartsWith('|')))
            {
                await report.WriteLineAsync(line.TrimEnd().Replace("&#39;", "", StringComparison.Ordinal));
            }

            return summary.Reports.ToDictionary(
                r => r.BenchmarkCase.Descriptor.WorkloadMethodDisplayInfo.Trim('\''),
                r => r.ResultStatistics!.Mean,
                StringComparer.Ordinal
            );
        }
        finally
        {
            artifacts.Delete(recursive: true);
        }
    }
}
