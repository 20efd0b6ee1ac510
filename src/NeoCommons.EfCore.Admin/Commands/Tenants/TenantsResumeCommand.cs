namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants resume</c></summary>
internal sealed class TenantsResumeCommand()
    : TenantChangeCommand(TenantLifecycleAction.Resume, "Lets a suspended tenant be used again.")
{
    protected override Task<TenantForecast> CheckAsync(CommandRun run, Tenant tenant, CancellationToken ct) =>
        Task.FromResult(new TenantForecast(TenantReport.Of(tenant with { Status = TenantStatus.Active })));

    protected override async Task<Tenant?> ChangeAsync(CommandRun run, Tenant tenant, CancellationToken ct) =>
        await run.Get<ITenantProvisioner>().ResumeAsync(tenant.Id, ct).ConfigureAwait(false);
}
