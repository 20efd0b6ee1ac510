namespace NeoCommons.EfCore.Benchmarks;

/// <summary>What a run ends with: ours beside the others, as ratios of the same run, and what was aimed at.</summary>
internal static class Goals
{
    /// <summary>The tables of a report that hold a goal or a ratio.</summary>
    public static IEnumerable<string> Of(string name, string report) =>
        report
            .ReplaceLineEndings("\n")
            .Split("\n\n")
            .Where(part => part.StartsWith('|') && IsOne(part[..part.IndexOf('\n', StringComparison.Ordinal)]))
            .SelectMany(part => new[] { "", $"## {name}", "", part.TrimEnd() });

    private static bool IsOne(string header) =>
        header.Contains("goal", StringComparison.Ordinal)
        || header.Contains("bytes more", StringComparison.Ordinal)
        || header.Contains("ratio to", StringComparison.Ordinal);
}
