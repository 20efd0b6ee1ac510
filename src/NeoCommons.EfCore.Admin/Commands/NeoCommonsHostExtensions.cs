using NeoCommons.EfCore.Admin;

namespace Microsoft.Extensions.Hosting;

/// <summary>Runs an application, or one of the commands that administer its databases and tenants.</summary>
public static class NeoCommonsHostExtensions
{
    /// <summary>
    /// Runs the command that the arguments name, <c>tenants list</c> for one, without starting the application; where they name
    /// none, runs the application until it is stopped. Disposes the host in either case.
    /// </summary>
    /// <param name="host">The application, built.</param>
    /// <param name="args">The arguments of the program.</param>
    /// <param name="ct">Cancels the command, as Ctrl-C does, or stops the application.</param>
    /// <returns>What <c>Main</c> is to return: 0, or a command's exit code (docs/commands.md).</returns>
    /// <remarks>
    /// A command writes its result to stdout and all else, the application's console log included, to stderr. Hosted services
    /// are not started.
    /// </remarks>
    public static async Task<int> RunNeoCommonsAsync(this IHost host, string[] args, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(host);
        ArgumentNullException.ThrowIfNull(args);
        if (!CommandTree.IsCommand(args))
        {
            await host.RunAsync(ct).ConfigureAwait(false);
            return 0;
        }

        try
        {
            return await CommandTree
                .RunAsync(args, host.Services, CommandConsole.OfProcess(), ct)
                .ConfigureAwait(false);
        }
        finally
        {
            if (host is IAsyncDisposable disposable)
            {
                await disposable.DisposeAsync().ConfigureAwait(false);
            }
            else
            {
                host.Dispose();
            }
        }
    }

    /// <summary>
    /// Whether the arguments name a command: for what an application does before it builds its host, and only where it is to
    /// run.
    /// </summary>
    /// <param name="args">The arguments of the program.</param>
    public static bool IsNeoCommonsCommand(string[] args)
    {
        ArgumentNullException.ThrowIfNull(args);
        return CommandTree.IsCommand(args);
    }
}
