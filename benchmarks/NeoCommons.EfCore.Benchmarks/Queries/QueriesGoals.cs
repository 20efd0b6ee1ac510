namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>Holds what was measured against the goals.</summary>
internal sealed class QueriesGoals(
    TextWriter report,
    IReadOnlyDictionary<(string Table, string Way), IReadOnlyList<Measured>> measured
)
{
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
        await report.WriteLineAsync($"| goal | {string.Join(" | ", tables)} |");
        await report.WriteLineAsync("|---|---|---|---|---|");
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
            "the same with 2,000 prepared statements for each connection (no goal)",
            Peers.FastestOfMany,
            Peers.Limit,
            tables
        );
        await RatioAsync(
            "the first of them to no tenants, no reset, auto-prepare (no goal)",
            Peers.Fastest,
            Peers.LimitWithoutReset,
            tables
        );
        await RatioAsync(
            "SET when opened, pooled contexts to SearchPath: at least 1.2",
            Peers.Set,
            Peers.SearchPath,
            tables,
            least: 1.2
        );
        await RatioAsync(
            "SET when opened, pooled contexts to QualifiedNames (no goal)",
            Peers.Set,
            Peers.Names,
            tables
        );
        await RatioAsync(
            "what another schema each time costs the server: Npgsql to Npgsql (no goal)",
            Peers.NpgsqlAll,
            Peers.Npgsql,
            tables
        );
        await report.WriteLineAsync();
        await report.WriteLineAsync($"| goal | {QueriesBenchmark.Distant(Workload.Read)} |");
        await report.WriteLineAsync("|---|---|");
        await RatioAsync(
            "SET when opened, pooled contexts to SearchPath: at least 1.7",
            Peers.Set,
            Peers.SearchPath,
            [QueriesBenchmark.Distant(Workload.Read)],
            least: 1.7
        );
        await report.WriteLineAsync();
        await report.WriteLineAsync($"| bytes more than no tenants: at most 512 | {string.Join(" | ", tables)} |");
        await report.WriteLineAsync("|---|---|---|---|---|");
        foreach (var ours in new[] { Peers.SearchPath, Peers.Names })
        {
            await report.WriteLineAsync(
                $"| {ours} | {string.Join(" | ", tables.Select(table => BytesOf(table, ours)))} |"
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
            return Numbers.Text($"{ratio:0.00}{(ratio > most || ratio < least ? " MISSED" : "")}");
        });
        return report.WriteLineAsync($"| {goal} | {string.Join(" | ", cells)} |");
    }
}
