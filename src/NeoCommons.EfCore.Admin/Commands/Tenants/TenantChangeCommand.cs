using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary>A command that changes one tenant, and shows it as it is then.</summary>
internal abstract class TenantChangeCommand : ConsoleCommand
{
    private readonly Argument<string> _tenant = TenantReference.NewArgument();
    private readonly Option<bool> _dryRun = NewDryRun();

    private readonly TenantLifecycleAction _action;

    protected TenantChangeCommand(TenantLifecycleAction action, string description, string? name = null)
        : base(name ?? TenantReport.Word(action), description)
    {
        _action = action;
        Arguments.Add(_tenant);
        Options.Add(_dryRun);
    }

    public override string AfterCancellation =>
        "The tenant is as it was, or changed whole: 'tenants show' tells. Repeat the command to go on.";

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var tenant = await TenantReference.FindAsync(run, _tenant, ct).ConfigureAwait(false);
        if (run.Value(_dryRun))
        {
            return await ForeseeAsync(run, tenant, ct).ConfigureAwait(false);
        }

        if (await ChangeAsync(run, tenant, ct).ConfigureAwait(false) is not { } changed)
        {
            return new CommandResult(
                new { tenant.Slug, Deleted = true },
                output => output.Line($"Tenant '{tenant.Slug}' is deleted.")
            );
        }

        var after = await TenantReport.ReadAsync(run, changed, ct).ConfigureAwait(false);
        return new CommandResult(after, after.Write);
    }

    /// <summary>Refuses what would be refused, and tells what would become of the tenant; changes nothing.</summary>
    protected abstract Task<TenantForecast> CheckAsync(CommandRun run, Tenant tenant, CancellationToken ct);

    /// <summary>Changes the tenant; null where it is no more.</summary>
    protected abstract Task<Tenant?> ChangeAsync(CommandRun run, Tenant tenant, CancellationToken ct);

    protected static Option<string?> NewReason() => new("--reason") { Description = "Why, for the audit." };

    private async Task<CommandResult> ForeseeAsync(CommandRun run, Tenant tenant, CancellationToken ct)
    {
        TenantTransition.ThrowIfRefused(_action, tenant.Slug, tenant.Status);
        var forecast = await CheckAsync(run, tenant, ct).ConfigureAwait(false);
        var before = TenantReport.Of(tenant);
        return new CommandResult(
            new
            {
                DryRun = true,
                Tenant = before,
                forecast.After,
                forecast.Notes,
            },
            output =>
            {
                (forecast.After ?? before).Write(output);
                foreach (var note in forecast.Notes)
                {
                    output.Line(note);
                }

                output.Line(
                    (forecast.After is null ? $"Would {Name} this tenant." : $"So it would be after '{Name}'.")
                        + " Nothing was changed."
                );
            }
        );
    }
}
