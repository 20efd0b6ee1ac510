using System.Collections.Concurrent;
using System.Diagnostics;

namespace NeoCommons.EfCore.Testing;

/// <summary>
/// Starts processes on one thread that lives as long as this process does.
/// </summary>
/// <remarks>
/// The "parent death signal" of Linux is sent when the <em>thread</em> that started the child ends. A thread of the
/// pool may end at any time and would take the server with it.
/// </remarks>
internal static class LaunchThread
{
    private static readonly BlockingCollection<(ProcessStartInfo, TaskCompletionSource<Process>)> s_requests = [];

    static LaunchThread() =>
        new Thread(Run) { IsBackground = true, Name = "NeoCommons.EfCore.Testing launcher" }.Start();

    public static Task<Process> StartAsync(ProcessStartInfo start)
    {
        var started = new TaskCompletionSource<Process>(TaskCreationOptions.RunContinuationsAsynchronously);
        s_requests.Add((start, started));
        return started.Task;
    }

    private static void Run()
    {
        foreach (var (start, started) in s_requests.GetConsumingEnumerable())
        {
            try
            {
                started.SetResult(Process.Start(start)!);
            }
            catch (Exception e)
            {
                started.SetException(e);
            }
        }
    }
}
