using System.CommandLine;
using System.Globalization;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>keys rotate</c></summary>
internal sealed class KeysRotateCommand : ConsoleCommand
{
    private readonly Option<bool> _dryRun = NewDryRun();

    public KeysRotateCommand()
        : base("rotate", "Encrypts every stored password with the first key, bound to its database.") =>
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
                rotated.Bound,
                rotated.Unusable,
            },
            output =>
            {
                output.Table(
                    ["Key", "Before", dryRun ? "Would be" : "Now"],
                    [.. rotated.Keys.Select(k => new[] { Text(k.Key), Text(k.Before), Text(k.After) })],
                    "There is no key."
                );
                if (rotated.Bound.Count > 0)
                {
                    output.Table(
                        [dryRun ? "Would be bound" : "Bound", "To"],
                        [.. rotated.Bound.Select(b => new[] { b.Connection, b.Target })],
                        ""
                    );
                }

                UnusablePasswords.Write(output, rotated.Unusable);
            },
            rotated.Unusable.Count > 0 ? ExitCode.Failed : ExitCode.Ok
        );

        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
    }
}
