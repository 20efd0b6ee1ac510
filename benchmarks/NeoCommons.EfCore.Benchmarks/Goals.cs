namespace NeoCommons.EfCore.Benchmarks;

/// <summary>What a run ends with: ours beside the others, as ratios of the same run, and what was aimed at.</summary>
internal static class Goals
{
    /// <summary>The tables of a report that hold a goal or a ratio, under the name of its benchmark and what the report says of its run.</summary>
    public static IEnumerable<string> Of(string name, string report)
    {
        var parts = report.ReplaceLineEndings("\n").Split("\n\n");
        var tables = parts
            .Where(part => part.StartsWith('|') && IsOne(part[..part.IndexOf('\n', StringComparison.Ordinal)]))
            .SelectMany(part => new[] { "", part.TrimEnd() })
            .ToList();
        return tables.Count == 0 ? [] : ["", $"## {name}", "", parts[1], .. tables];
    }

    /// <summary>Writes one file of the last full run of each benchmark.</summary>
    public static async Task WriteAsync(string directory, IEnumerable<string> names)
    {
        var lines = new List<string>
        {
            "# goals",
            "",
            "Of the last full run of each benchmark, whose commit stands above its tables.",
        };
        foreach (var name in names)
        {
            var path = Path.Combine(directory, $"{name}.md");
            if (File.Exists(path))
            {
                lines.AddRange(Of(name, await File.ReadAllTextAsync(path)));
            }
        }

        await File.WriteAllLinesAsync(Path.Combine(directory, "goals.md"), lines);
    }

    private static bool IsOne(string header) =>
        header.Contains("goal", StringComparison.Ordinal)
        || header.Contains("bytes more", StringComparison.Ordinal)
        || header.Contains("ratio to", StringComparison.Ordinal);
}
