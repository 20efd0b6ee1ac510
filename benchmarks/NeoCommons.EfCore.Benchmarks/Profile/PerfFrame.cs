using System.Text.RegularExpressions;

namespace NeoCommons.EfCore.Benchmarks.Profile;

/// <summary>A method on a stack.</summary>
/// <param name="Module">Its assembly or its file.</param>
/// <param name="Method">Its name with its type's, without parameters.</param>
internal readonly partial record struct PerfFrame(string Module, string Method)
{
    /// <summary>Reads a line of <c>perf script</c>: an address, a symbol, and where it lies.</summary>
    public static PerfFrame Parse(string line)
    {
        var text = line.Trim();
        var symbol = text[(text.IndexOf(' ', StringComparison.Ordinal) + 1)..];
        var file = "";
        if (symbol.EndsWith(')') && symbol.LastIndexOf(" (", StringComparison.Ordinal) is var at and >= 0)
        {
            (symbol, file) = (symbol[..at], Path.GetFileName(symbol[(at + 2)..^1]));
        }

        // What was compiled at run time has its assembly in the symbol.
        return Managed().Match(symbol) is { Success: true } managed
            ? new PerfFrame(managed.Groups["module"].Value, managed.Groups["method"].Value)
            : new PerfFrame(file.EndsWith(".dll", StringComparison.Ordinal) ? file[..^4] : file, symbol);
    }

    [GeneratedRegex(@"\[(?<module>[^\]]+)\] (?<method>[^(]+)\(")]
    private static partial Regex Managed();
}
