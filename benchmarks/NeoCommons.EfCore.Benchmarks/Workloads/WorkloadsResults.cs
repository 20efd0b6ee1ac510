using NeoCommons.EfCore.Benchmarks.Queries;

namespace NeoCommons.EfCore.Benchmarks.Workloads;

/// <summary>All that was measured: a table for each road and number of callers, one of their means, all rounds as CSV, and plots.</summary>
internal sealed class WorkloadsResults
{
    private readonly List<WorkloadsCell> _cells = [];

    public void Add(WorkloadsCell cell) => _cells.Add(cell);

    public async Task WriteAsync(TextWriter report)
    {
        var tables = _cells.GroupBy(cell => cell.Table).ToList();
        foreach (var table in tables)
        {
            var ways = table.First().Others;
            await report.WriteLineAsync();
            await report.WriteLineAsync($"| {table.Key} | tenants | {Peers.Limit}, us | {string.Join(" | ", ways)} |");
            await report.WriteLineAsync($"|---|---|---|{string.Concat(ways.Select(_ => "---|"))}");
            foreach (var cell in table)
            {
                var ratios = ways.Select(way => TextOf(cell.RatiosOf(way)));
                await report.WriteLineAsync(
                    Numbers.Text(
                        $"| {cell.Workload} | {cell.Tenants:N0} | {cell.Limit:0} | {string.Join(" | ", ratios)} |"
                    )
                );
            }
        }

        var all = _cells[0].Others;
        await report.WriteLineAsync();
        await report.WriteLineAsync(
            $"| ratio to no tenants: the geometric mean of a table, in each of its rounds (no goal) | {string.Join(" | ", all)} |"
        );
        await report.WriteLineAsync($"|---|{string.Concat(all.Select(_ => "---|"))}");
        foreach (var table in tables)
        {
            var means = all.Select(way => table.First().Others.Contains(way) ? TextOf(MeansOf([.. table], way)) : "-");
            await report.WriteLineAsync($"| {table.Key} | {string.Join(" | ", means)} |");
        }
    }

    public async Task WriteFilesAsync(string path)
    {
        await Csv.WriteAsync(
            path + ".csv",
            "road,workers,workload,tenants,way,round,microseconds,bytes",
            _cells.SelectMany(cell => cell.Lines)
        );
        foreach (var workload in Workload.All)
        {
            var cells = _cells.Where(c => c.Table == _cells[0].Table && c.Workload == workload.Name).ToList();
            await Plots.LinesAsync(
                $"{path}-{FileNameOf(workload)}.svg",
                $"{workload.Name}, {_cells[0].Table}: time of one operation beside \"{Peers.Limit}\"",
                "tenants",
                "ratio",
                cells[0]
                    .Others.Select(way =>
                        (
                            way,
                            (IReadOnlyList<(double, double)>)
                                [.. cells.Select(c => ((double)c.Tenants, Numbers.Median(c.RatiosOf(way))))]
                        )
                    ),
                isLinear: true
            );
        }
    }

    private static string FileNameOf(Workload workload) => workload.Name.Split(':')[0].Replace(' ', '-');

    private static double[] MeansOf(IReadOnlyCollection<WorkloadsCell> cells, string way) =>
        [
            .. Enumerable
                .Range(0, cells.First().RatiosOf(way).Length)
                .Select(round => Math.Exp(cells.Average(cell => Math.Log(cell.RatiosOf(way)[round])))),
        ];

    private static string TextOf(IReadOnlyCollection<double> ratios) =>
        Numbers.Text($"{Numbers.Median(ratios):0.00} ({ratios.Min():0.00}-{ratios.Max():0.00})");
}
