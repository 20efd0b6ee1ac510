using System.Diagnostics;

namespace NeoCommons.EfCore.Testing.Tests;

/// <summary>A second process of this program that holds a server of its own.</summary>
internal sealed class Orphan : IDisposable
{
    public const string Argument = "hold-a-server";

    private readonly Process _process;

    private Orphan(Process process, string connectionString, string dataDirectory)
    {
        _process = process;
        ConnectionString = connectionString;
        DataDirectory = dataDirectory;
    }

    public string ConnectionString { get; }

    public string DataDirectory { get; }

    public static async Task<Orphan> StartAsync(CancellationToken ct)
    {
        // Started as "dotnet tests.dll", this process is dotnet and needs the file once more.
        var program = Environment.ProcessPath!;
        string[] arguments =
            Path.GetFileNameWithoutExtension(program) == "dotnet"
                ? [typeof(Orphan).Assembly.Location, Argument]
                : [Argument];
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        var process = Process.Start(start)!;
        return new Orphan(
            process,
            (await process.StandardOutput.ReadLineAsync(ct))!,
            (await process.StandardOutput.ReadLineAsync(ct))!
        );
    }

    /// <summary>As kill -9 does: it cannot clean up.</summary>
    public async Task KillAsync(CancellationToken ct)
    {
        _process.Kill();
        await _process.WaitForExitAsync(ct);
    }

    /// <summary>Lets it end by itself, without disposing its server.</summary>
    public async Task EndAsync(CancellationToken ct)
    {
        _process.StandardInput.Close();
        await _process.WaitForExitAsync(ct);
    }

    public void Dispose()
    {
        _process.Kill();
        _process.Dispose();
    }
}
