using System.Diagnostics;
using System.Globalization;
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
using NeoCommons.EfCore.Benchmarks.Processor;
using NeoCommons.EfCore.Benchmarks.Profile;
using NeoCommons.EfCore.Benchmarks.Queries;
using NeoCommons.EfCore.Benchmarks.Recovery;
using NeoCommons.EfCore.Benchmarks.Scale;
using NeoCommons.EfCore.Benchmarks.Workloads;

// bench.sh [name] [--quick]: the names are those of the folders here.
const string OnlyWhenNamed = "profile";
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
    ["workloads"] = WorkloadsBenchmark.RunAsync,
    ["prepared"] = PreparedBenchmark.RunAsync,
    ["overhead"] = OverheadBenchmark.RunAsync,
    ["processor"] = ProcessorBenchmark.RunAsync,
    ["scale"] = ScaleBenchmark.RunAsync,
    [OnlyWhenNamed] = ProfileBenchmark.RunAsync,
};
const string Results = "benchmarks/results";
if (names.Find(name => !benchmarks.ContainsKey(name)) is { } unknown)
{
    await Console.Error.WriteLineAsync(
        $"There is no benchmark '{unknown}'. There are: {string.Join(", ", benchmarks.Keys)}."
    );
    return 2;
}

CultureInfo.CurrentCulture = CultureInfo.DefaultThreadCurrentCulture = CultureInfo.InvariantCulture;
Directory.CreateDirectory(Results);
var goals = new List<string>();
var watch = Stopwatch.StartNew();
var failed = new List<string>();
foreach (var name in names.Count > 0 ? names : [.. benchmarks.Keys.Where(name => name != OnlyWhenNamed)])
{
    var begun = watch.Elapsed;
    try
    {
        await RunAsync(name);
    }
    catch (Exception e) when (names.Count != 1)
    {
        // What the others measure is not lost.
        await Console.Error.WriteLineAsync($"{name} failed: {e}");
        failed.Add(name);
    }

    if (!args.Contains(OwnProcess.Flag))
    {
        await Console.Error.WriteLineAsync($"{name}: {(watch.Elapsed - begun).TotalSeconds:0} s");
    }
}

if (!args.Contains(OwnProcess.Flag))
{
    Console.WriteLine(string.Join(Environment.NewLine, goals));
    await Console.Error.WriteLineAsync(
        $"{watch.Elapsed.TotalSeconds:0} s in all{(failed.Count > 0 ? $"; failed: {string.Join(", ", failed)}" : "")}"
    );
}

return failed.Count == 0 ? 0 : 1;

async Task RunAsync(string name)
{
    var path = Path.Combine(Results, name + (quick ? "-quick" : ""));
    if (OwnProcess.IsNeededBy(name))
    {
        await OwnProcess.RunAsync(name, quick);
        goals.AddRange(Goals.Of(name, await File.ReadAllTextAsync($"{path}.md")));
        return;
    }

    using var report = new StringWriter();
    await report.WriteLineAsync($"# {name}");
    await report.WriteLineAsync();
    await report.WriteLineAsync(Run.Describe(name, quick));
    await report.WriteLineAsync();
    var written = File.GetLastWriteTimeUtc($"{path}.csv");
    await benchmarks[name](quick, report);
    Console.WriteLine(report);
    goals.AddRange(Goals.Of(name, report.ToString()));
    await File.WriteAllTextAsync($"{path}.md", report.ToString());
    var tables = ReportTable.AllOf(report.ToString());

    // Some write their own, of all rounds.
    if (File.GetLastWriteTimeUtc($"{path}.csv") == written)
    {
        await ReportTable.WriteCsvAsync($"{path}.csv", tables);
    }

    await ReportPlots.WriteAsync($"{path}.svg", name, tables);
    if (!quick)
    {
        await Goals.WriteAsync(Results, benchmarks.Keys);
    }
}
