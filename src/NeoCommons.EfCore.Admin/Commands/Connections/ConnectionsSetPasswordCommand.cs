using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>connections set-password</c></summary>
internal sealed class ConnectionsSetPasswordCommand : ConsoleCommand
{
    private readonly Argument<string> _name = new("name") { Description = "The connection." };
    private readonly Option<string?> _passwordEnv = NewPasswordEnv();
    private readonly Option<bool> _noTest = new("--no-test") { Description = "Do not try the password first." };
    private readonly Option<bool> _dryRun = NewDryRun();

    public ConnectionsSetPasswordCommand()
        : base("set-password", "Stores another password, after a trial; asks for it, or reads it from stdin.")
    {
        Arguments.Add(_name);
        Options.Add(_passwordEnv);
        Options.Add(_noTest);
        Options.Add(_dryRun);
    }

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var name = run.Required(_name);
        var row =
            await run.Get<IConnectionRegistry>().FindAsync(name, ct).ConfigureAwait(false)
            ?? throw new ConnectionNotFoundException(name);
        var password = await run.ReadPasswordAsync(run.Value(_passwordEnv), "New password:", ct).ConfigureAwait(false);
        var tried = !run.Value(_noTest);
        if (tried)
        {
            await run.Get<ConnectionTrial>().RunAsync(row, password, ct).ConfigureAwait(false);
        }

        var dryRun = run.Value(_dryRun);
        if (!dryRun)
        {
            // For the target that was tried, and for no other that the row may name by now.
            var target = SecretTarget.Of(row);
            var token = await run.Get<ISecretProtector>().ProtectAsync(password, target, ct).ConfigureAwait(false);
            await ConnectionRows
                .UpdateAtAsync(run, name, target, set => set.SetProperty(c => c.EncryptedPassword, token), dryRun, ct)
                .ConfigureAwait(false);
        }

        return new CommandResult(
            new
            {
                Connection = name,
                DryRun = dryRun,
                Tried = tried,
                Changed = !dryRun,
            },
            output =>
                output.Line(
                    dryRun
                        ? $"Would store a password of connection '{name}'{(tried ? ", which works" : "")}. Nothing was changed."
                        : $"Stored the password of connection '{name}'. Applications take it up within seconds, without a restart."
                )
        );
    }
}
