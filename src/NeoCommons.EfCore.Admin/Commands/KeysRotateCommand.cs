using System.CommandLine;
using System.Globalization;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>keys rotate</c></summary>
internal sealed class KeysRotateCommand : ConsoleCommand
{
    private readonly Option<bool> _dryRun = NewDryRun();

    public KeysRotateCommand()
        : base("rotate", "Encrypts every stored password with the first key of DB_ENCRYPTION_KEY.") =>
        Options.Add(_dryRun);

    public override string AfterCancellation =>
        "Every password can be read, under its old key or the first; repeat the command, and it goes on with the rest.";

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var dryRun = run.Value(_dryRun);
        var rotated = await run.Get<KeyRotation>().RunAsync(dryRun, ct).ConfigureAwait(false);
        return new CommandResult(
            new
            {
                DryRun = dryRun,
                rotated.Keys,
                Rotated = rotated.Count,
                rotated.Unreadable,
            },
            output =>
            {
                output.Table(
                    ["Key", "Before", dryRun ? "Would be" : "Now"],
                    [.. rotated.Keys.Select(k => new[] { Text(k.Key), Text(k.Before), Text(k.After) })],
                    "There is no key."
                );
                if (rotated.Unreadable.Count > 0)
                {
                    output.Line(
                        $"No key reads the passwords of {string.Join(", ", rotated.Unreadable)}. Add the key that wrote them at the end "
                            + "of DB_ENCRYPTION_KEY, or store them again: connections set-password."
                    );
                }
            },
            rotated.Unreadable.Count > 0 ? ExitCode.Failed : ExitCode.Ok
        );

        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
    }
}
