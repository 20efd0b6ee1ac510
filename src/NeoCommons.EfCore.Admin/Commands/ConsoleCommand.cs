using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net;

namespace NeoCommons.EfCore.Admin;

/// <summary>A command: its arguments and options, what it does, and its result in both forms.</summary>
/// <remarks>To add one, derive from this and name it in <see cref="CommandTree"/>.</remarks>
internal abstract class ConsoleCommand(string name, string description) : Command(name, description)
{
    /// <summary>What is so after Ctrl-C, and how to go on.</summary>
    public virtual string AfterCancellation => "Nothing was changed.";

    /// <summary>Does it.</summary>
    /// <exception cref="CommandFailedException">It cannot; other exceptions are explained by <see cref="CommandFault"/>.</exception>
    public abstract Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct);

    /// <summary>The option of commands that change something.</summary>
    protected static Option<bool> NewDryRun() =>
        new("--dry-run") { Description = "Check everything, say what would be done, and change nothing." };

    /// <summary>Reads an option that is a port.</summary>
    protected static int ReadPort(ArgumentResult given) =>
        OptionValue.Read<int>(
            given,
            $"a port, 1 to {IPEndPoint.MaxPort}",
            port => port is >= 1 and <= IPEndPoint.MaxPort
        );

    /// <summary>The option of commands that need a password.</summary>
    protected static Option<string?> NewPasswordEnv() =>
        new("--password-env")
        {
            Description =
                "The environment variable that holds the password. Without it: the terminal, or a line of stdin.",
            HelpName = "VARIABLE",
        };
}
