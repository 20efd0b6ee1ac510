namespace NeoCommons.EfCore.Benchmarks;

/// <summary>What was measured, each round by itself, for those who want to look at it with tools of their own.</summary>
internal static class Csv
{
    public static Task WriteAsync(string path, string header, IEnumerable<string> lines)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        return File.WriteAllLinesAsync(path, lines.Prepend(header));
    }
}
