using System.Diagnostics;

namespace NeoCommons.EfCore.Testing;

/// <summary>Runs a short program to its end, as the server's user where there is one.</summary>
internal static class Tool
{
    // Not every setpriv is the one of util-linux: ask it.
    private static readonly Lazy<Task<string?>> s_setpriv = new(async () =>
        Executables.Find("setpriv") is { } path
        && await ExitCodeAsync(path, "--pdeathsig", "QUIT", "true").ConfigureAwait(false) == 0
            ? path
            : null
    );

    /// <summary>The path of a setpriv that can tie a child to its parent; null where there is none.</summary>
    public static Task<string?> SetPrivAsync() => s_setpriv.Value;

    /// <summary>The command line that runs <paramref name="command"/> as <paramref name="user"/>.</summary>
    public static async Task<IReadOnlyList<string>> AsUserAsync(ServerUser? user, params IEnumerable<string> command)
    {
        if (user is null)
        {
            return [.. command];
        }

        return await SetPrivAsync().ConfigureAwait(false) is { } setpriv
            ? [setpriv, $"--reuid={user.Uid}", $"--regid={user.Gid}", "--init-groups", .. command]
            : ["runuser", "-u", user.Name, "--", .. command];
    }

    /// <summary>Runs it and throws <see cref="ServerStartException"/> with its output when it fails.</summary>
    public static async Task RunAsync(
        ServerUser? user,
        string folder,
        CancellationToken ct,
        params IEnumerable<string> command
    )
    {
        var line = await AsUserAsync(user, command).ConfigureAwait(false);
        var start = new ProcessStartInfo(line[0], line.Skip(1))
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(ct);
            var errors = process.StandardError.ReadToEndAsync(ct);
            await process.WaitForExitAsync(ct).ConfigureAwait(false);
            if (process.ExitCode != 0)
            {
                throw new ServerStartException(
                    $"'{string.Join(' ', line)}' failed with exit code {process.ExitCode}.",
                    (await output.ConfigureAwait(false) + await errors.ConfigureAwait(false)).Trim()
                );
            }
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    private static async Task<int> ExitCodeAsync(string file, params IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(file, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        await process.WaitForExitAsync().ConfigureAwait(false);
        return process.ExitCode;
    }
}
