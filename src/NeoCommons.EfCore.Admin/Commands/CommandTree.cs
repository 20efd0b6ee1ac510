using System.CommandLine;
using System.CommandLine.Help;

namespace NeoCommons.EfCore.Admin;

/// <summary>All commands, and how a line becomes a run of one of them.</summary>
internal static class CommandTree
{
    // What a migration that is cancelled may need to roll back.
    private static readonly TimeSpan TimeToStop = TimeSpan.FromSeconds(30);

    private static readonly string[] Groups = [.. All().Select(group => group.Name)];

    /// <summary>Whether the line is one of our commands, and not the application's own.</summary>
    public static bool IsCommand(IReadOnlyList<string> args) => args.Count > 0 && Groups.Contains(args[0]);

    /// <summary>Runs the command that the line names.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(
        IReadOnlyList<string> args,
        IServiceProvider services,
        CommandConsole console,
        CancellationToken ct
    )
    {
        var execution = new CommandExecution(services, console);
        var root = new RootCommand("Administration of databases and tenants.");
        root.Options.Add(
            new Option<bool>(CommandRun.JsonOption)
            {
                Description = "Write one JSON document instead of text.",
                Recursive = true,
            }
        );
        root.Options.Add(
            new Option<bool>(CommandRun.VerboseOption)
            {
                Description = "Show the application's log, and the stack trace of an error.",
                Recursive = true,
            }
        );
        foreach (var group in All())
        {
            foreach (var command in group.Subcommands.OfType<ConsoleCommand>())
            {
                command.SetAction((parsed, token) => execution.RunAsync(command, parsed, token));
            }

            root.Subcommands.Add(group);
        }

        // An argument that begins with @ is a name here, not a file of arguments.
        var parsed = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Errors.Count > 0 && parsed.Action is not HelpAction)
        {
            return execution.Refuse(args, parsed);
        }

        return await parsed
            .InvokeAsync(
                new InvocationConfiguration
                {
                    Output = console.Out,
                    Error = console.Error,
                    EnableDefaultExceptionHandler = false,
                    ProcessTerminationTimeout = TimeToStop,
                },
                ct
            )
            .ConfigureAwait(false);
    }

    internal static Command[] All() =>
        [
            new("tenants", "Tenants: their rows, schemas and migrations.")
            {
                new TenantsListCommand(),
                new TenantsShowCommand(),
                new TenantsCreateCommand(),
                new TenantsMigrateCommand(),
                new TenantsStatusCommand(),
                new TenantsDoctorCommand(),
                new TenantsScriptCommand(),
                new TenantsSuspendCommand(),
                new TenantsResumeCommand(),
                new TenantsRenameCommand(),
                new TenantsLimitsCommand(),
                new TenantsArchiveCommand(),
                new TenantsRestoreCommand(),
                new TenantsDeleteCommand(),
                new TenantsTemplateCommand(),
                new TenantsPoolCommand(),
            },
            new("connections", "The databases that are registered.")
            {
                new ConnectionsListCommand(),
                new ConnectionsAddCommand(),
                new ConnectionsTestCommand(),
                new ConnectionsSetPasswordCommand(),
                new ConnectionsSetAddressCommand(),
                new ConnectionsSwitchCommand(active: false),
                new ConnectionsSwitchCommand(active: true),
            },
            new("admin", "The admin database itself.") { new AdminMigrateCommand() },
            new("keys", "The keys of the stored passwords.") { new KeysRotateCommand(), new KeysStatusCommand() },
        ];
}
