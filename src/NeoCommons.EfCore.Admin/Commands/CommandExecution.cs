using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary>Runs a command and writes what became of it: the result on one stream, errors on the other.</summary>
internal sealed class CommandExecution(IServiceProvider services, CommandConsole console)
{
    private const string NoPasswordHere =
        "A password is not taken from the command line, where other users and the shell's history see it. Write it to stdin, or "
        + "name an environment variable with --password-env.";

    public async Task<int> RunAsync(ConsoleCommand command, ParseResult parsed, CancellationToken ct)
    {
        var run = new CommandRun(parsed, services, console);
        CommandLogging.LeadAside(services, run.IsVerbose);
        try
        {
            var result = await command.RunAsync(run, ct).ConfigureAwait(false);
            if (run.IsJson)
            {
                await console.Out.WriteLineAsync(CommandJson.Write(result.Json)).ConfigureAwait(false);
            }
            else
            {
                result.Text(new CommandOutput(console));
            }

            return (int)result.ExitCode;
        }
        catch (Exception e) when (e is OperationCanceledException && ct.IsCancellationRequested)
        {
            return Fail(new CommandFault(ExitCode.Cancelled, "Cancelled. " + command.AfterCancellation), run.IsJson);
        }
        catch (Exception e)
        {
            if (run.IsVerbose)
            {
                await console.Error.WriteLineAsync(e.ToString()).ConfigureAwait(false);
            }

            return Fail(CommandFault.Of(e), run.IsJson);
        }
    }

    /// <summary>Says what is wrong with the line.</summary>
    public int Refuse(IReadOnlyList<string> args, ParseResult parsed)
    {
        // The parser's own message would show what follows.
        var secret = args.Any(a =>
            a.StartsWith("--password", StringComparison.OrdinalIgnoreCase) && a.Split('=', ':')[0] != "--password-env"
        );
        var message = secret
            ? NoPasswordHere
            : string.Join(' ', parsed.Errors.Select(e => e.Message))
                + $" See '{string.Join(' ', PathOf(parsed.CommandResult.Command))} --help'.";
        return Fail(CommandFault.OfUsage(message), args.Contains(CommandRun.JsonOption));
    }

    private static IEnumerable<string> PathOf(Command command) =>
        command.Parents.OfType<Command>().Where(c => c is not RootCommand).Select(c => c.Name).Append(command.Name);

    private int Fail(CommandFault fault, bool json)
    {
        console.Error.WriteLine("Error: " + fault.Message);
        if (json)
        {
            console.Out.WriteLine(CommandJson.Write(new { Error = fault }));
        }

        return (int)fault.ExitCode;
    }
}
