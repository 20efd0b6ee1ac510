using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants restore</c></summary>
internal sealed class TenantsRestoreCommand()
    : TenantChangeCommand(TenantLifecycleAction.Restore, "Brings an archived tenant back.")
{
    protected override async Task<TenantForecast> CheckAsync(CommandRun run, Tenant tenant, CancellationToken ct)
    {
        if (TenantTransition.IsDone(TenantLifecycleAction.Restore, tenant.Status))
        {
            return new TenantForecast(TenantReport.Of(tenant));
        }

        var naming = run.Get<IOptions<SchemaNaming>>().Value;
        var (status, schema) = await run.Get<AdminReads>()
            .ReadAsync(
                async (db, token) =>
                {
                    var (slug, id) = (tenant.Slug, tenant.Id.Value);
                    var was = await TenantStates.ForeseeRestorationAsync(db, slug, id, token).ConfigureAwait(false);
                    return (
                        was.Status,
                        was.Schema
                            ?? await TenantAudit.ChooseSchemaAsync(db, naming, slug, id, token).ConfigureAwait(false)
                    );
                },
                ct
            )
            .ConfigureAwait(false);
        await run.Get<TenantStates>().CheckAsync(tenant, schema, ct).ConfigureAwait(false);
        return new TenantForecast(TenantReport.Of(tenant with { Status = status, Schema = schema }));
    }

    protected override async Task<Tenant?> ChangeAsync(CommandRun run, Tenant tenant, CancellationToken ct) =>
        await run.Get<ITenantProvisioner>().RestoreAsync(tenant.Id, ct).ConfigureAwait(false);
}
