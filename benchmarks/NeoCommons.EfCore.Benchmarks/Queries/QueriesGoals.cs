namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>Holds what was measured against the goals.</summary>
internal sealed class QueriesGoals(
    TextWriter report,
    IReadOnlyDictionary<(string Table, string Way), IReadOnlyList<Measured>> measured
)
{
    /// <summary>The ways that the goals at a distance are of, and that without tenants.</summary>
    public static readonly IReadOnlyList<string> WaysAtADistance =
    [
        Peers.Limit,
        Peers.Set,
        Peers.SearchPath,
        Peers.Names,
    ];

    // What no goal is about.
    private static readonly IReadOnlyList<(string Of, string To)> Others =
    [
        (Peers.Fastest, Peers.LimitPrepared),
        (Peers.FastestOfMany, Peers.LimitPrepared),
        (Peers.FastestOfMany, Peers.SharedPrepared),
        (Peers.FastestOfMany, Peers.NamesWithoutReset),
        (Peers.NamesWithoutReset, Peers.LimitWithoutReset),
        (Peers.NamesWithoutReset, Peers.Limit),
        (Peers.LimitWithoutReset, Peers.Limit),
        (Peers.LimitPrepared, Peers.LimitWithoutReset),
        (Peers.Set, Peers.Names),
        (Peers.SearchPathUnpooled, Peers.LimitUnpooled),
        (Peers.NamesUnpooled, Peers.LimitUnpooled),
        (Peers.SetUnpooled, Peers.LimitUnpooled),
        (Peers.DataSources, Peers.LimitUnpooled),
        (Peers.DataSourcesPrepared, Peers.LimitUnpooled),
        (Peers.OwnModels, Peers.LimitUnpooled),
        (Peers.NpgsqlAll, Peers.Npgsql),
        (Peers.NpgsqlPrepared, Peers.NpgsqlWithoutReset),
    ];

    public async Task WriteAsync()
    {
        string[] tables =
        [
            QueriesBenchmark.OneTenant(Workload.Read),
            QueriesBenchmark.OneTenant(Workload.Insert),
            Workload.Read.Name,
            Workload.Insert.Name,
        ];
        await report.WriteLineAsync();
        await report.WriteLineAsync($"| goal: median, and middle half | {string.Join(" | ", tables)} |");
        await report.WriteLineAsync("|---|---|---|---|---|");
        await RatioAsync(
            "the same work twice: no tenants, to no tenants (no goal)",
            Peers.LimitAgain,
            Peers.Limit,
            tables
        );
        await RatioAsync("SearchPath to no tenants: at most 1.05", Peers.SearchPath, Peers.Limit, tables, most: 1.05);
        await RatioAsync("QualifiedNames to no tenants: at most 1.05", Peers.Names, Peers.Limit, tables, most: 1.05);
        await RatioAsync(
            "QualifiedNames, WhenUsed, auto-prepare to no tenants: at most 0.80",
            Peers.Fastest,
            Peers.Limit,
            tables,
            most: 0.80
        );
        await RatioAsync(
            "QualifiedNames, WhenUsed, prepared at the first use to no tenants: at most 0.80",
            Peers.FastestOfMany,
            Peers.Limit,
            tables,
            most: 0.80
        );
        await RatioAsync(
            "SET when opened, pooled contexts to SearchPath: at least 1.2",
            Peers.Set,
            Peers.SearchPath,
            tables,
            least: 1.2
        );
        foreach (var (of, to) in Others)
        {
            await RatioAsync($"*{of}* : *{to}* (no goal)", of, to, tables);
        }

        await MoreAsync(tables);
        await DistanceAsync();
        await BytesAsync(tables);
    }

    private async Task DistanceAsync()
    {
        string[] tables = [QueriesBenchmark.Distant(Workload.Read), QueriesBenchmark.Distant(Workload.Insert)];
        await report.WriteLineAsync();
        await report.WriteLineAsync($"| goal: median, and middle half | {string.Join(" | ", tables)} |");
        await report.WriteLineAsync("|---|---|---|");
        await RatioAsync(
            "SET when opened, pooled contexts to SearchPath: at least 1.7",
            Peers.Set,
            Peers.SearchPath,
            tables,
            least: 1.7
        );
        await RatioAsync(
            "SET when opened, pooled contexts to QualifiedNames: at least 1.7",
            Peers.Set,
            Peers.Names,
            tables,
            least: 1.7
        );
    }

    private async Task MoreAsync(IReadOnlyList<string> tables)
    {
        await report.WriteLineAsync();
        await report.WriteLineAsync($"| us more (no goal): median, and middle half | {string.Join(" | ", tables)} |");
        await report.WriteLineAsync("|---|---|---|---|---|");
        foreach (
            var (of, to) in new[]
            {
                (Peers.LimitAgain, Peers.Limit),
                (Peers.SearchPath, Peers.Limit),
                (Peers.Names, Peers.Limit),
                (Peers.Set, Peers.Limit),
                (Peers.Shared, Peers.Limit),
                (Peers.NpgsqlAll, Peers.Npgsql),
            }
        )
        {
            var cells = tables.Select(table =>
            {
                var more = Measured.More(measured[(table, of)], measured[(table, to)]);
                return Numbers.Text($"{more.Median:0} ({more.From:0} to {more.To:0})");
            });
            await report.WriteLineAsync($"| *{of}*, more than *{to}* | {string.Join(" | ", cells)} |");
        }
    }

    private async Task BytesAsync(IEnumerable<string> tables)
    {
        await report.WriteLineAsync();
        await report.WriteLineAsync("| bytes more than no tenants: at most 512 | SearchPath | QualifiedNames |");
        await report.WriteLineAsync("|---|---|---|");
        var all = tables.Union(Workload.All.Select(workload => workload.Name));
        foreach (var table in all.Where(table => measured.ContainsKey((table, Peers.Limit))))
        {
            await report.WriteLineAsync(
                $"| {table} | {BytesOf(table, Peers.SearchPath)} | {BytesOf(table, Peers.Names)} |"
            );
        }
    }

    private string BytesOf(string table, string way)
    {
        var more = Bytes(way) - Bytes(Peers.Limit);
        return Numbers.Text($"{more:0}{(more > 512 ? " MISSED" : "")}");

        double Bytes(string of) => Measured.MedianBytes(measured[(table, of)]);
    }

    private Task RatioAsync(
        string goal,
        string of,
        string to,
        IReadOnlyList<string> tables,
        double? most = null,
        double? least = null
    )
    {
        var cells = tables.Select(table =>
        {
            var ratio = Measured.Ratio(measured[(table, of)], measured[(table, to)]);
            return Numbers.Text(
                $"{ratio.Median:0.00} ({ratio.From:0.00}-{ratio.To:0.00}){(ratio.Median > most || ratio.Median < least ? " MISSED" : "")}"
            );
        });
        return report.WriteLineAsync($"| {goal} | {string.Join(" | ", cells)} |");
    }
}
