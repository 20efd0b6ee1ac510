using System.CommandLine;
using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>connections disable</c> and <c>connections enable</c></summary>
internal sealed class ConnectionsSwitchCommand : ConsoleCommand
{
    private readonly bool _active;
    private readonly Argument<string> _name = new("name") { Description = "The connection." };
    private readonly Option<bool> _dryRun = NewDryRun();

    public ConnectionsSwitchCommand(bool active)
        : base(
            active ? "enable" : "disable",
            active
                ? "Switches a connection on again."
                : "Switches a connection off: its tenants cannot be used until it is enabled."
        )
    {
        _active = active;
        Arguments.Add(_name);
        Options.Add(_dryRun);
    }

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var name = run.Required(_name);
        var row =
            await run.Get<IConnectionRegistry>().FindAsync(name, ct).ConfigureAwait(false)
            ?? throw new ConnectionNotFoundException(name);
        var tenants = await run.Get<AdminReads>()
            .ReadAsync((db, token) => db.Tenants.CountAsync(t => t.Connection!.ConnectionName == name, token), ct)
            .ConfigureAwait(false);
        var standsInFor = await run.Get<AdminReads>()
            .ReadAsync(
                (db, token) =>
                    db
                        .DatabaseConnections.Where(c => c.FailoverConnection == name)
                        .Select(c => c.ConnectionName)
                        .SingleOrDefaultAsync(token),
                ct
            )
            .ConfigureAwait(false);
        var dryRun = run.Value(_dryRun);
        if (!dryRun)
        {
            await ConnectionRows
                .UpdateAsync(run, name, set => set.SetProperty(c => c.IsActive, _active), ct)
                .ConfigureAwait(false);
        }

        return new CommandResult(
            new
            {
                Connection = name,
                DryRun = dryRun,
                WasActive = row.IsActive,
                IsActive = dryRun ? row.IsActive : _active,
                Tenants = tenants,
                StandsInFor = standsInFor,
            },
            output =>
                output.Line(
                    $"Connection '{name}' {(dryRun ? "would be" : "is")} {(_active ? "active" : "disabled")}, with its "
                        + $"{CommandOutput.Count(tenants, "tenant")}.{Left(standsInFor)}{(dryRun ? " Nothing was changed." : "")}"
                )
        );
    }

    private string Left(string? standsInFor) =>
        _active || standsInFor is null ? "" : $" Connection '{standsInFor}' has no failover connection meanwhile.";
}
