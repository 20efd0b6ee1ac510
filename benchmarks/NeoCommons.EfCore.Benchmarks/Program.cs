using NeoCommons.EfCore.Benchmarks;
using NeoCommons.EfCore.Benchmarks.Acquire;
using NeoCommons.EfCore.Benchmarks.Blast;
using NeoCommons.EfCore.Benchmarks.Create;
using NeoCommons.EfCore.Benchmarks.Fleet;
using NeoCommons.EfCore.Benchmarks.Health;
using NeoCommons.EfCore.Benchmarks.Limits;
using NeoCommons.EfCore.Benchmarks.Lookup;
using NeoCommons.EfCore.Benchmarks.Metrics;
using NeoCommons.EfCore.Benchmarks.Overhead;
using NeoCommons.EfCore.Benchmarks.Prepared;
using NeoCommons.EfCore.Benchmarks.Queries;
using NeoCommons.EfCore.Benchmarks.Recovery;
using NeoCommons.EfCore.Benchmarks.Scale;

// bench.sh [name] [--quick]: the names are those of the folders here.
var quick = args.Contains("--quick");
var names = args.Where(a => !a.StartsWith('-')).ToList();
var benchmarks = new Dictionary<string, Func<bool, TextWriter, Task>>
{
    ["fleet"] = FleetBenchmark.RunAsync,
    ["create"] = CreateBenchmark.RunAsync,
    ["lookup"] = LookupBenchmark.RunAsync,
    ["acquire"] = AcquireBenchmark.RunAsync,
    ["health"] = HealthBenchmark.RunAsync,
    ["blast"] = BlastBenchmark.RunAsync,
    ["recovery"] = RecoveryBenchmark.RunAsync,
    ["limits"] = LimitsBenchmark.RunAsync,
    ["metrics"] = MetricsBenchmark.RunAsync,
    ["queries"] = QueriesBenchmark.RunAsync,
    ["prepared"] = PreparedBenchmark.RunAsync,
    ["overhead"] = OverheadBenchmark.RunAsync,
    ["scale"] = ScaleBenchmark.RunAsync,
};
var place = Path.GetTempPath().StartsWith("/dev/shm", StringComparison.Ordinal) ? "in memory" : "on a disk";
var goals = new List<string>();
foreach (var name in names.Count > 0 ? names : [.. benchmarks.Keys])
{
    if (!benchmarks.TryGetValue(name, out var run))
    {
        await Console.Error.WriteLineAsync(
            $"There is no benchmark '{name}'. There are: {string.Join(", ", benchmarks.Keys)}."
        );
        return 2;
    }

    using var report = new StringWriter();
    await report.WriteLineAsync($"# {name}");
    await report.WriteLineAsync();
    await report.WriteLineAsync(
        $"`./bench.sh {name}{(quick ? " --quick" : "")}`, {Environment.ProcessorCount} processors, .NET {Environment.Version}, data of the servers {place}"
    );
    await report.WriteLineAsync();
    await run(quick, report);
    Console.WriteLine(report);
    goals.AddRange(Goals.Of(name, report.ToString()));
    Directory.CreateDirectory("benchmarks/results");
    await File.WriteAllTextAsync($"benchmarks/results/{name}{(quick ? "-quick" : "")}.md", report.ToString());
}

Console.WriteLine(string.Join(Environment.NewLine, goals));
if (names.Count == 0)
{
    await File.WriteAllLinesAsync($"benchmarks/results/goals{(quick ? "-quick" : "")}.md", goals);
}

return 0;
