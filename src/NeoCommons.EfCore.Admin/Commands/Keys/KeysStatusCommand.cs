using System.CommandLine;
using System.Globalization;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>keys status</c></summary>
internal sealed class KeysStatusCommand : ConsoleCommand
{
    private readonly Option<int[]> _without = new("--without")
    {
        Description = "The place of a key in the list: fails where that key is still needed.",
        HelpName = "KEY",
        DefaultValueFactory = _ => [],
        AllowMultipleArgumentsPerToken = true,
        CustomParser = given => OptionValue.ReadAll<int>(given, "the place of a key in the list, from 1"),
    };

    public KeysStatusCommand()
        : base("status", "Shows how many stored passwords each key holds, and which are not as they should be.") =>
        Options.Add(_without);

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var status = await run.Get<KeyRotation>().GetStatusAsync(ct).ConfigureAwait(false);
        foreach (var key in run.Required(_without))
        {
            RefuseIfNeeded(status, key);
        }

        return new CommandResult(
            new
            {
                Keys = status.Connections.Select((c, i) => new { Key = i + 1, Count = c.Count }),
                status.Unbound,
                status.Unusable,
            },
            output =>
            {
                output.Table(
                    ["Key", "Passwords"],
                    [.. status.Connections.Select((c, i) => new[] { Text(i + 1), Text(c.Count) })],
                    "There is no key."
                );
                if (status.Unbound.Count > 0)
                {
                    output.Line(
                        $"{Text(status.Unbound.Count)} bound to no database: {string.Join(", ", status.Unbound)}. keys rotate binds them."
                    );
                }

                UnusablePasswords.Write(output, status.Unusable);
            },
            status.Unusable.Count > 0 ? ExitCode.Failed : ExitCode.Ok
        );

        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
    }

    private static void RefuseIfNeeded(KeyStatus status, int key)
    {
        if (key < 1 || key > status.Connections.Count)
        {
            throw new CommandFailedException(
                ExitCode.Usage,
                $"There is no key {key}: the list has {status.Connections.Count}, counted from 1."
            );
        }

        if (status.Connections[key - 1] is { Count: > 0 } needed)
        {
            throw new CommandFailedException(
                ExitCode.Conflict,
                $"Key {key} is still needed, for the passwords of {string.Join(", ", needed)}. Put another key before it and run: "
                    + "keys rotate."
            );
        }
    }
}
