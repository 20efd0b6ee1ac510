using System.ComponentModel;
using System.Diagnostics;

namespace NeoCommons.EfCore.Benchmarks;

/// <summary>What was run, and where: the first line of each report.</summary>
internal static class Run
{
    public static string Describe(string name, bool quick)
    {
        var place = Path.GetTempPath().StartsWith("/dev/shm", StringComparison.Ordinal) ? "in memory" : "on a disk";
        string?[] all =
        [
            $"`./bench.sh {name}{(quick ? " --quick" : "")}`",
            CommitOf("src") is { } commit ? $"commit {commit}" : null,
            $"{Environment.ProcessorCount} processors",
            $".NET {Environment.Version}",
            HasIcu() ? "ICU" : "invariant globalization",
            $"data of the servers {place}",
        ];
        return string.Join(", ", all.OfType<string>());
    }

    // Without it two spellings of one letter are two texts. EF's provider compares by culture at each command.
    private static bool HasIcu() => string.Equals("\u00e9", "e\u0301", StringComparison.InvariantCulture);

    /// <summary>The commit, with a plus where the folder holds something else; null where git does not say.</summary>
    private static string? CommitOf(string folder) =>
        Git("rev-parse", "--short", "HEAD") is { Length: > 0 } commit
            ? commit + (Git("status", "--porcelain", "--", folder) is "" ? "" : "+")
            : null;

    private static string? Git(params string[] arguments)
    {
        try
        {
            using var git = Process.Start(
                new ProcessStartInfo("git", arguments) { RedirectStandardOutput = true, RedirectStandardError = true }
            )!;
            var said = git.StandardOutput.ReadToEnd().Trim();
            git.WaitForExit();
            return git.ExitCode == 0 ? said : null;
        }
        catch (Win32Exception)
        {
            return null;
        }
    }
}
