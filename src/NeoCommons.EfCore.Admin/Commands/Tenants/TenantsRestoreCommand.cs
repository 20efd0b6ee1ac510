namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants restore</c></summary>
internal sealed class TenantsRestoreCommand() : TenantChangeCommand("restore", "Brings an archived tenant back.")
{
    protected override async Task<Tenant?> ChangeAsync(CommandRun run, Tenant tenant, CancellationToken ct) =>
        await run.Get<ITenantProvisioner>().RestoreAsync(tenant.Id, ct).ConfigureAwait(false);
}
