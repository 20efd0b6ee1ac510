using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;

namespace NeoCommons.EfCore;

internal sealed class TenantDbContextFactory<TContext>(
    IUnboundContexts<TContext> contexts,
    DbContextOptions<TContext> options,
    ITenantStore tenants,
    TenantDataSources sources,
    SearchPath searchPath,
    ConnectionOpening opening,
    SchemaVersionGate<TContext> gate,
    IServiceProvider services
) : ITenantDbContextFactory<TContext>
    where TContext : DbContext
{
    private readonly TenantContextSettings _settings = options.FindExtension<TenantOptionsExtension>()!.Settings;

    public async ValueTask<TContext> CreateDbContextAsync(TenantId tenant, CancellationToken ct = default) =>
        await CreateAsync(await tenants.GetActiveAsync(tenant, ct).ConfigureAwait(false), services, ct)
            .ConfigureAwait(false);

    public async ValueTask<TContext> CreateDbContextAsync(string slug, CancellationToken ct = default) =>
        await CreateAsync(await tenants.GetActiveAsync(slug, ct).ConfigureAwait(false), services, ct)
            .ConfigureAwait(false);

    public async ValueTask<TContext> CreateReadOnlyDbContextAsync(TenantId tenant, CancellationToken ct = default)
    {
        var found = await tenants.GetActiveAsync(tenant, ct).ConfigureAwait(false);
        var context = await CreateAsync(found, services, ct, readOnly: true).ConfigureAwait(false);
        context.ChangeTracker.QueryTrackingBehavior = QueryTrackingBehavior.NoTracking;
        return context;
    }

    /// <summary>Makes a context for a tenant that was found already.</summary>
    /// <param name="tenant">The tenant, which is active.</param>
    /// <param name="provider">Serves the context's constructor.</param>
    /// <param name="ct">Cancels.</param>
    /// <param name="readOnly">Whether the context is to refuse writes.</param>
    /// <param name="canWait">Whether the caller can wait for the tenant's migration.</param>
    public async ValueTask<TContext> CreateAsync(
        Tenant tenant,
        IServiceProvider provider,
        CancellationToken ct,
        bool readOnly = false,
        bool canWait = true
    )
    {
        if (!_settings.IsFor(tenant.TenantType))
        {
            throw new TenantIsolationException(
                $"{typeof(TContext).Name} is for tenants of type {string.Join(", ", _settings.TenantTypes.Select(t => $"'{t}'"))}, and "
                    + $"tenant '{tenant.Slug}' is of {(tenant.TenantType is { } type ? $"type '{type}'" : "no type")}, so its schema "
                    + "does not have the tables. Ask for a context that it has, or add the type to ForTenantTypes(...) and "
                    + "migrate the tenant.",
                tenant.Id
            );
        }

        tenant = await gate.PassAsync(tenant, canWait, ct).ConfigureAwait(false);
        var source = await sources
            .AcquireForWorkAsync(tenant.ConnectionName, writes: !readOnly, ct)
            .ConfigureAwait(false);
        TContext? context = null;
        try
        {
            context = contexts.Create(provider, tenant);
            TenantModel.ThrowIfUnfit(context, tenant);
            context.GetService<TenantLease>().Begin(context, tenant, source, searchPath, readOnly, opening);
            return context;
        }
        catch
        {
            source.Release();
            context?.Dispose();
            throw;
        }
    }
}
