namespace NeoCommons.EfCore.Benchmarks;

/// <summary>Bars of what a report's tables have in one column.</summary>
internal static class ReportPlots
{
    // Which column, and which others say what a row is of.
    private static readonly Dictionary<string, (string Column, int[] Labels)> Plotted = new(StringComparer.Ordinal)
    {
        ["prepared"] = ("ratio", [0]),
        ["overhead"] = ("ratio", [0]),
        ["fleet"] = ("ratio to psql", [0, 1, 3]),
        ["create"] = ("ratio to psql", [0]),
        ["acquire"] = ("average wait for a connection, ms", [0]),
        ["recovery"] = ("last failure, s", [0, 2]),
    };

    /// <summary>Draws them, where the benchmark has such a column; tables of the same rows are in one plot.</summary>
    public static async Task WriteAsync(string path, string name, IReadOnlyList<ReportTable> tables)
    {
        if (!Plotted.TryGetValue(name, out var plotted))
        {
            return;
        }

        var kinds = new List<(string Kind, IReadOnlyList<double> Values)>();
        IReadOnlyList<string>? rows = null;
        foreach (var table in tables)
        {
            var column = table.Header.ToList().FindIndex(h => h.StartsWith(plotted.Column, StringComparison.Ordinal));
            if (column < 1)
            {
                continue;
            }

            string[] labels = [.. table.Rows.Select(r => string.Join(", ", plotted.Labels.Select(l => r[l])))];
            if (rows is null || rows.SequenceEqual(labels, StringComparer.Ordinal))
            {
                rows = labels;
                kinds.Add((table.Header[0], [.. table.Rows.Select(r => ReportTable.NumberOf(r[column]) ?? 0)]));
            }
        }

        if (rows is not null)
        {
            await Plots.BarsAsync(path, name, plotted.Column, rows, kinds);
        }
    }
}
