namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>Tables and files of all that was measured.</summary>
internal sealed class QueriesSummary(
    TextWriter report,
    IReadOnlyDictionary<(string Table, string Way), IReadOnlyList<Measured>> measured,
    IReadOnlyDictionary<(string Workload, string Way), string> roundTrips
)
{
    /// <summary>All ways in one table: ratios to no tenants, and round trips.</summary>
    public async Task WriteAsync(IReadOnlyList<string> tables)
    {
        await report.WriteLineAsync();
        await report.WriteLineAsync(
            $"| ratio to no tenants | {string.Join(" | ", tables)} | round trips: {string.Join(", ", Workload.All.Select(w => w.Name))} |"
        );
        await report.WriteLineAsync(string.Concat(Enumerable.Repeat("|---", tables.Count + 2)) + "|");
        foreach (var way in measured.Keys.Where(k => k.Table == tables[0]).Select(k => k.Way))
        {
            var ratios = tables.Select(table =>
                measured.TryGetValue((table, way), out var one)
                    ? Numbers.Text($"{Measured.Ratio(one, measured[(table, Peers.Limit)]).Median:0.00}")
                    : "-"
            );
            var trips = Workload.All.Select(w => roundTrips[(w.Name, way)]);
            await report.WriteLineAsync($"| {way} | {string.Join(" | ", ratios)} | {string.Join(", ", trips)} |");
        }
    }

    /// <summary>All rounds as CSV, and a plot of some tables, with the ways that are in all of them.</summary>
    public async Task WriteFilesAsync(string path, IReadOnlyList<string> tables)
    {
        await Csv.WriteAsync(
            path + ".csv",
            Measured.Columns,
            measured.SelectMany(all => Measured.Lines(all.Key.Table, all.Key.Way, all.Value))
        );
        string[] ways =
        [
            .. measured
                .Keys.Select(k => k.Way)
                .Distinct()
                .Where(way => tables.All(t => measured.ContainsKey((t, way)))),
        ];
        await Plots.BarsAsync(
            path + ".svg",
            $"Time of one operation beside \"{Peers.Limit}\"",
            "ratio",
            ways,
            tables.Select(table =>
                (
                    table,
                    (IReadOnlyList<double>)
                        [
                            .. ways.Select(way =>
                                Measured.Ratio(measured[(table, way)], measured[(table, Peers.Limit)]).Median
                            ),
                        ]
                )
            )
        );
    }
}
