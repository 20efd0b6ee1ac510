using System.Diagnostics;

namespace NeoCommons.EfCore.Benchmarks;

/// <summary>Benchmarks that what ran before must not change, or for which the runtime is started with settings of their own: each has a process to itself.</summary>
internal static class OwnProcess
{
    /// <summary>Says that the process is one of these, and that another ends with the goals.</summary>
    public const string Flag = "--own-process";

    // Without spinning a thread that waits for the server's answer takes no processor meanwhile.
    private static readonly (string Name, string Value) WithoutSpinning = (
        "DOTNET_ThreadPool_UnfairSemaphoreSpinLimit",
        "0"
    );

    private static readonly Dictionary<string, (string Name, string Value)[]> Settings = new(StringComparer.Ordinal)
    {
        ["overhead"] = [],
        ["processor"] = [WithoutSpinning],
        ["profile"] =
        [
            WithoutSpinning,
            // The names of methods, where perf looks for them, and in memory that perf takes for code of no file.
            ("DOTNET_PerfMapEnabled", "3"),
            ("DOTNET_PerfMapJitDumpPath", "/tmp"),
            ("DOTNET_EnableWriteXorExecute", "0"),
        ],
    };

    /// <summary>Whether this process is not what the benchmark needs.</summary>
    public static bool IsNeededBy(string name) =>
        Settings.ContainsKey(name) && !Environment.GetCommandLineArgs().Contains(Flag);

    /// <summary>Runs it, and all that it writes is written then.</summary>
    public static async Task RunAsync(string name, bool quick)
    {
        string[] arguments =
        [
            Environment.GetCommandLineArgs()[0],
            name,
            Flag,
            .. quick ? ["--quick"] : Array.Empty<string>(),
        ];
        var start = new ProcessStartInfo("dotnet", arguments);
        foreach (var (setting, value) in Settings[name])
        {
            start.Environment[setting] = value;
        }

        using var process = Process.Start(start)!;
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"'{name}' ended with {process.ExitCode}.");
        }
    }
}
