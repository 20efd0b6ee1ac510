namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants resume</c></summary>
internal sealed class TenantsResumeCommand() : TenantChangeCommand("resume", "Lets a suspended tenant be used again.")
{
    protected override async Task<Tenant?> ChangeAsync(CommandRun run, Tenant tenant, CancellationToken ct) =>
        await run.Get<ITenantProvisioner>().ResumeAsync(tenant.Id, ct).ConfigureAwait(false);
}
