using System.ComponentModel;
using System.Diagnostics;

namespace NeoCommons.EfCore.Benchmarks.Profile;

/// <summary>Where this process spends its processor time, by perf of Linux, which sees threads only while they run.</summary>
internal static class PerfProfile
{
    private const int SamplesPerSecond = 999;

    // perf gives up if a thread ends between its being listed and its being watched.
    private const int MostAttempts = 5;

    /// <summary>Looks at the stacks of all threads that run, again and again, while the work is done over and over.</summary>
    /// <returns>The stacks, the innermost frame first.</returns>
    public static async Task<IReadOnlyList<PerfFrame[]>> RecordAsync(TimeSpan time, Func<Task> work)
    {
        var folder = Directory.CreateTempSubdirectory("profile-");
        try
        {
            var path = Path.Combine(folder.FullName, "perf.data");
            for (var attempt = 1; !await TryRecordAsync(path, time, work); attempt++)
            {
                if (attempt == MostAttempts)
                {
                    throw new InvalidOperationException(
                        "perf cannot record: see what it said above; kernel.perf_event_paranoid must be 2 at the most."
                    );
                }
            }

            return await ReadAsync(path);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Deletes the names of this process's methods, which the runtime has written for perf.</summary>
    public static void DeleteNames()
    {
        foreach (var file in new[] { "perf", "perfinfo" })
        {
            File.Delete($"/tmp/{file}-{Environment.ProcessId}.map");
        }
    }

    private static async Task<bool> TryRecordAsync(string path, TimeSpan time, Func<Task> work)
    {
        using var perf = Start(
            $"record -q -F {SamplesPerSecond} -g -o {path} -p {Environment.ProcessId} -- sleep {time.TotalSeconds:0}"
        );
        var end = perf.WaitForExitAsync();
        while (!end.IsCompleted)
        {
            await work();
        }

        return perf.ExitCode == 0;
    }

    private static async Task<IReadOnlyList<PerfFrame[]>> ReadAsync(string path)
    {
        using var perf = Start($"script -i {path} -F ip,sym,dso", reads: true);
        var stacks = new List<PerfFrame[]>();
        var frames = new List<PerfFrame>();
        while (await perf.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line.Length > 0)
            {
                frames.Add(PerfFrame.Parse(line));
            }
            else if (frames.Count > 0)
            {
                stacks.Add([.. frames]);
                frames.Clear();
            }
        }

        await perf.WaitForExitAsync();
        return perf.ExitCode == 0 && stacks.Count > 0
            ? stacks
            : throw new InvalidOperationException("perf has recorded nothing.");
    }

    private static Process Start(string arguments, bool reads = false)
    {
        try
        {
            return Process.Start(new ProcessStartInfo("perf", arguments) { RedirectStandardOutput = reads })!;
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException("There is no perf: it is in linux-perf or linux-tools.", e);
        }
    }
}
