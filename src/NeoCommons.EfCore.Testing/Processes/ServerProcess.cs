using System.Diagnostics;

namespace NeoCommons.EfCore.Testing;

/// <summary>A server that we started: it dies with this process, and it has a session of its own.</summary>
internal sealed class ServerProcess
{
    // "$0" is the log file, the rest is the command. The shell replaces itself, so the process id stays.
    private const string Redirect = "exec \"$@\" >>\"$0\" 2>&1 </dev/null";

    private readonly Process _process;
    private readonly Signal _deathSignal;

    private ServerProcess(Process process, Signal deathSignal)
    {
        _process = process;
        _deathSignal = deathSignal;
    }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <param name="directory">Where it runs and logs.</param>
    /// <param name="user">Who it runs as; null for the current user.</param>
    /// <param name="deathSignal">What ends it at once: the system sends it when this process dies.</param>
    /// <param name="command">The program and its arguments.</param>
    public static async Task<ServerProcess> StartAsync(
        InstanceDirectory directory,
        ServerUser? user,
        Signal deathSignal,
        params IEnumerable<string> command
    )
    {
        var asUser = await Tool.AsUserAsync(user).ConfigureAwait(false);
        var tie =
            await Tool.SetPrivAsync().ConfigureAwait(false) is not { } setpriv ? asUser
            : asUser.Count == 0 ? [setpriv, "--pdeathsig", deathSignal.Name]
            : [.. asUser, "--pdeathsig", deathSignal.Name];

        // Without a session of its own, Ctrl-C in a terminal would stop the server before the program that uses it.
        IEnumerable<string> session = Executables.Find("setsid") is { } setsid ? [setsid] : [];
        string[] line = [.. session, .. tie, "/bin/sh", "-c", Redirect, directory.LogFile, .. command];

        var start = new ProcessStartInfo(line[0], line[1..]) { WorkingDirectory = directory.Path };
        var server = new ServerProcess(await LaunchThread.StartAsync(start).ConfigureAwait(false), deathSignal);
        directory.Adopt(server);
        return server;
    }

    public void Send(Signal signal)
    {
        if (!_process.HasExited)
        {
            Posix.Signal(_process.Id, signal);
        }
    }

    /// <summary>Stops it with <paramref name="signal"/>, and with force when that takes longer than <paramref name="grace"/>.</summary>
    public async Task StopAsync(Signal signal, TimeSpan grace)
    {
        Send(signal);
        using var timeout = new CancellationTokenSource(grace, TimeProvider.System);
        try
        {
            await _process.WaitForExitAsync(timeout.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            Send(Signal.Kill);
            await _process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    /// <summary>For the exit of this process, where nothing can be awaited any more.</summary>
    public void Kill()
    {
        Send(Signal.Continue);
        Send(_deathSignal);
        if (!_process.WaitForExit(TimeSpan.FromSeconds(3)))
        {
            Send(Signal.Kill);
        }
    }
}
