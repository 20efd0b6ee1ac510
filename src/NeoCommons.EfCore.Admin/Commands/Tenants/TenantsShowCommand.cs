using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants show</c></summary>
internal sealed class TenantsShowCommand : ConsoleCommand
{
    private readonly Argument<string> _tenant = TenantReference.NewArgument();

    public TenantsShowCommand()
        : base("show", "Shows all that is known of a tenant.") => Arguments.Add(_tenant);

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var tenant = await TenantReference.FindAsync(run, _tenant, ct).ConfigureAwait(false);
        var report = await TenantReport.ReadAsync(run, tenant, ct).ConfigureAwait(false);
        return new CommandResult(report, report.Write);
    }
}
