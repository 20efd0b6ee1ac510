using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary>A command that changes one tenant, and shows it as it is then.</summary>
internal abstract class TenantChangeCommand : ConsoleCommand
{
    private readonly Argument<string> _tenant = TenantReference.NewArgument();
    private readonly Option<bool> _dryRun = NewDryRun();

    protected TenantChangeCommand(string name, string description)
        : base(name, description)
    {
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
            Check(run, tenant);
            var report = TenantReport.Of(tenant);
            return new CommandResult(
                new { DryRun = true, Tenant = report },
                output =>
                {
                    report.Write(output);
                    output.Line($"Would {Name} this tenant. Nothing was changed.");
                }
            );
        }

        if (await ChangeAsync(run, tenant, ct).ConfigureAwait(false) is not { } changed)
        {
            return new CommandResult(
                new { tenant.Slug, Deleted = true },
                output => output.Line($"Tenant '{tenant.Slug}' is deleted.")
            );
        }

        var after = TenantReport.Of(changed);
        return new CommandResult(after, after.Write);
    }

    /// <summary>Refuses what would be refused, as far as the tenant's row tells.</summary>
    protected virtual void Check(CommandRun run, Tenant tenant) { }

    /// <summary>Changes the tenant; null where it is no more.</summary>
    protected abstract Task<Tenant?> ChangeAsync(CommandRun run, Tenant tenant, CancellationToken ct);

    protected static Option<string?> NewReason() => new("--reason") { Description = "Why, for the audit." };
}
