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

    public async ValueTask<TContext> CreateReadOnlyDbContextAsync(TenantId tenant, CancellationToken ct = default) =>
        await CreateReadOnlyAsync(await tenants.GetActiveAsync(tenant, ct).ConfigureAwait(false), ct)
            .ConfigureAwait(false);

    public async ValueTask<TContext> CreateReadOnlyDbContextAsync(string slug, CancellationToken ct = default) =>
        await CreateReadOnlyAsync(await tenants.GetActiveAsync(slug, ct).ConfigureAwait(false), ct)
            .ConfigureAwait(false);

    /// <summary>Makes a context for a tenant that was found already.</summary>
    /// <param name="tenant">The tenant, which is active.</param>
    /// <param name="provider">Serves the context's constructor.</param>
    /// <param name="ct">Cancels.</param>
    /// <param name="readOnly">Whether the context is to refuse writes.</param>
    public async ValueTask<TContext> CreateAsync(
        Tenant tenant,
        IServiceProvider provider,
        CancellationToken ct,
        bool readOnly = false
    )
    {
        var (passed, source) = await PrepareAsync(tenant, readOnly, canWait: true, ct).ConfigureAwait(false);
        return Make(passed, source, provider, readOnly);
    }

    /// <summary>Does what has to be waited for before a context is made, which takes no services of the caller's scope.</summary>
    /// <param name="tenant">The tenant, which is active.</param>
    /// <param name="readOnly">Whether the context is to refuse writes.</param>
    /// <param name="canWait">Whether the caller can wait for the tenant's migration.</param>
    /// <param name="ct">Cancels.</param>
    /// <returns>The tenant as it is now, and its pool, with a lease that <see cref="Make"/> takes over.</returns>
    public async ValueTask<(Tenant Tenant, PooledDataSource Source)> PrepareAsync(
        Tenant tenant,
        bool readOnly,
        bool canWait,
        CancellationToken ct
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
        return (
            tenant,
            await sources.AcquireForWorkAsync(tenant.ConnectionName, writes: !readOnly, ct).ConfigureAwait(false)
        );
    }

    /// <summary>Makes the context, without waiting for anything.</summary>
    public TContext Make(Tenant tenant, PooledDataSource source, IServiceProvider provider, bool readOnly)
    {
        TContext? context = null;
        try
        {
            context = contexts.Create(provider, tenant);
            var lease = context.GetService<TenantLease>();
            var tables = TenantModel.CountTables(context, lease.Settings, tenant);
            lease.Begin(context, tables, tenant, source, searchPath, readOnly, opening);
            return context;
        }
        catch
        {
            source.Release();
            context?.Dispose();
            throw;
        }
    }

    private async ValueTask<TContext> CreateReadOnlyAsync(Tenant tenant, CancellationToken ct)
    {
        var context = await CreateAsync(tenant, services, ct, readOnly: true).ConfigureAwait(false);
        context.ChangeTracker.QueryTrackingBehavior = QueryTrackingBehavior.NoTracking;
        return context;
    }
}
