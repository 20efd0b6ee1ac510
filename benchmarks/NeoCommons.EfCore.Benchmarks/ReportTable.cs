using System.Globalization;

namespace NeoCommons.EfCore.Benchmarks;

/// <summary>A table of a report.</summary>
/// <param name="Header">The names of its columns.</param>
/// <param name="Rows">Its rows, cell by cell.</param>
internal sealed record ReportTable(IReadOnlyList<string> Header, IReadOnlyList<IReadOnlyList<string>> Rows)
{
    /// <summary>The tables of a report, in order.</summary>
    public static IReadOnlyList<ReportTable> AllOf(string report)
    {
        var all = new List<ReportTable>();
        var lines = new List<string>();
        foreach (var line in report.ReplaceLineEndings("\n").Split('\n').Append(""))
        {
            if (line.StartsWith('|'))
            {
                lines.Add(line);
            }
            else if (lines.Count > 0)
            {
                // The second line is the ruler.
                all.Add(new(CellsOf(lines[0]), [.. lines.Skip(2).Select(CellsOf)]));
                lines.Clear();
            }
        }

        return all;
    }

    /// <summary>All cells of all tables, one to a line.</summary>
    public static Task WriteCsvAsync(string path, IReadOnlyList<ReportTable> tables) =>
        Csv.WriteAsync(
            path,
            "table,row,name,column,value",
            from t in Enumerable.Range(0, tables.Count)
            from r in Enumerable.Range(0, tables[t].Rows.Count)
            from c in Enumerable.Range(1, tables[t].Header.Count - 1)
            let row = tables[t].Rows[r]
            select Numbers.Text(
                $"{t + 1},{r + 1},{Quoted(row[0])},{Quoted(tables[t].Header[c])},{Quoted(row.ElementAtOrDefault(c) ?? "")}"
            )
        );

    /// <summary>The number that a cell begins with.</summary>
    public static double? NumberOf(string cell) =>
        double.TryParse(
            cell.Split(' ')[0],
            NumberStyles.Float | NumberStyles.AllowThousands,
            CultureInfo.InvariantCulture,
            out var number
        )
            ? number
            : null;

    private static IReadOnlyList<string> CellsOf(string line) =>
        [.. line.Trim().Trim('|').Split('|').Select(cell => cell.Trim())];

    private static string Quoted(string text) => $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
