using NeoCommons.EfCore.Benchmarks.Queries;

namespace NeoCommons.EfCore.Benchmarks.Workloads;

/// <summary>All that was measured: a table for each road and number of callers, one of their means, all rounds as CSV, and plots.</summary>
internal sealed class WorkloadsResults
{
    private readonly List<(
        WorkloadsCell Cell,
        IReadOnlyList<(Peer Way, IReadOnlyList<Measured> Measured)> Ways
    )> _all = [];

    public void Add(WorkloadsCell cell, IReadOnlyList<(Peer Way, IReadOnlyList<Measured> Measured)> ways) =>
        _all.Add((cell, ways));

    public async Task WriteAsync(TextWriter report)
    {
        var tables = _all.GroupBy(one => one.Cell.Table).ToList();
        foreach (var table in tables)
        {
            string[] ways = [.. OthersOf(table.First().Ways)];
            await report.WriteLineAsync();
            await report.WriteLineAsync($"| {table.Key} | tenants | {Peers.Limit}, us | {string.Join(" | ", ways)} |");
            await report.WriteLineAsync($"|---|---|---|{string.Concat(ways.Select(_ => "---|"))}");
            foreach (var (cell, measured) in table)
            {
                var limit = Numbers.Median([.. Of(measured, Peers.Limit).Select(m => m.Microseconds)]);
                var ratios = ways.Select(way => Numbers.Text($"{RatioOf(measured, way):0.00}"));
                await report.WriteLineAsync(
                    Numbers.Text($"| {cell.Workload} | {cell.Tenants:N0} | {limit:0} | {string.Join(" | ", ratios)} |")
                );
            }
        }

        string[] all = [.. OthersOf(tables[0].First().Ways)];
        await report.WriteLineAsync();
        await report.WriteLineAsync(
            $"| ratio to no tenants, the geometric mean of a table (no goal) | {string.Join(" | ", all)} |"
        );
        await report.WriteLineAsync($"|---|{string.Concat(all.Select(_ => "---|"))}");
        foreach (var table in tables)
        {
            var means = all.Select(way =>
                OthersOf(table.First().Ways).Contains(way)
                    ? Numbers.Text($"{Math.Exp(table.Average(one => Math.Log(RatioOf(one.Ways, way)))):0.00}")
                    : "-"
            );
            await report.WriteLineAsync($"| {table.Key} | {string.Join(" | ", means)} |");
        }
    }

    public async Task WriteFilesAsync(string path)
    {
        await Csv.WriteAsync(
            path + ".csv",
            "road,workers,workload,tenants,way,round,microseconds,bytes",
            from one in _all
            from way in one.Ways
            from round in Enumerable.Range(0, way.Measured.Count)
            let cell = one.Cell
            let measured = way.Measured[round]
            select Numbers.Text(
                $"\"{cell.Road}\",{cell.Workers},\"{cell.Workload}\",{cell.Tenants},\"{way.Way.Name}\",{round + 1},{measured.Microseconds:0.0},{measured.Bytes:0}"
            )
        );
        var direct = _all.GroupBy(one => one.Cell.Table).First().ToList();
        foreach (var (way, file) in new[] { (Peers.SearchPath, "search-path"), (Peers.Names, "names") })
        {
            await Plots.LinesAsync(
                $"{path}-{file}.svg",
                $"{way}: time of one operation beside \"{Peers.Limit}\"",
                "tenants",
                "ratio",
                direct
                    .GroupBy(one => one.Cell.Workload)
                    .Select(workload =>
                        (
                            workload.Key,
                            (IReadOnlyList<(double, double)>)
                                [.. workload.Select(one => ((double)one.Cell.Tenants, RatioOf(one.Ways, way)))]
                        )
                    ),
                isLinear: true
            );
        }
    }

    private static IEnumerable<string> OthersOf(IEnumerable<(Peer Way, IReadOnlyList<Measured> Measured)> ways) =>
        ways.Select(way => way.Way.Name).Where(way => way != Peers.Limit);

    private static double RatioOf(IReadOnlyList<(Peer Way, IReadOnlyList<Measured> Measured)> ways, string way) =>
        Measured.Ratio(Of(ways, way), Of(ways, Peers.Limit)).Median;

    private static IReadOnlyList<Measured> Of(
        IReadOnlyList<(Peer Way, IReadOnlyList<Measured> Measured)> ways,
        string way
    ) => ways.Single(one => one.Way.Name == way).Measured;
}
