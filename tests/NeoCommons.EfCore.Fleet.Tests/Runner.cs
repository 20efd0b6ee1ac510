using System.Diagnostics;

namespace NeoCommons.EfCore.Fleet.Tests;

/// <summary>A process that migrates all tenants.</summary>
internal sealed class Runner(Process process) : IDisposable
{
    private readonly Task<string> _output = process.StandardOutput.ReadToEndAsync();
    private readonly Task<string> _errors = process.StandardError.ReadToEndAsync();

    public bool HasExited => process.HasExited;

    /// <summary>SIGKILL: nothing of the process has the time to say anything.</summary>
    public void Kill() => process.Kill();

    /// <summary>Waits until it has ended by itself, or was killed; gives its exit code and what it said.</summary>
    public async Task<(int Code, string Output)> EndAsync()
    {
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, await _output + await _errors);
    }

    public void Dispose()
    {
        if (!process.HasExited)
        {
            process.Kill();
        }

        process.Dispose();
    }
}
