using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants suspend</c></summary>
internal sealed class TenantsSuspendCommand : TenantChangeCommand
{
    private readonly Option<string?> _reason = NewReason();

    public TenantsSuspendCommand()
        : base(TenantLifecycleAction.Suspend, "Refuses the tenant's contexts until it is resumed; its data stays.")
    {
        Options.Add(_reason);
    }

    protected override Task<TenantForecast> CheckAsync(CommandRun run, Tenant tenant, CancellationToken ct) =>
        Task.FromResult(new TenantForecast(TenantReport.Of(tenant with { Status = TenantStatus.Suspended })));

    protected override async Task<Tenant?> ChangeAsync(CommandRun run, Tenant tenant, CancellationToken ct) =>
        await run.Get<ITenantProvisioner>().SuspendAsync(tenant.Id, run.Value(_reason), ct).ConfigureAwait(false);
}
