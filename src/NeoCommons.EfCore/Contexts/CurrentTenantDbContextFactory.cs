using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore;

/// <summary>EF's own factory, for the tenant of the current scope.</summary>
internal sealed class CurrentTenantDbContextFactory<TContext>(
    TenantDbContextFactory<TContext> factory,
    ITenantContext current,
    ITenantStore tenants,
    IServiceProvider scope
) : IDbContextFactory<TContext>
    where TContext : DbContext
{
    public TContext CreateDbContext()
    {
        // EF's contract is synchronous. The registry answers from memory once it is loaded, so this waits only in a
        // process whose very first lookup it is. The context is made on this thread: a scope that resolves it holds its lock, and
        // its constructor may ask the scope for more.
        var preparing = PrepareAsync(canWait: false, CancellationToken.None);
        var (tenant, source) = preparing.IsCompletedSuccessfully
            ? preparing.Result
            : preparing.AsTask().GetAwaiter().GetResult();
        return factory.Make(tenant, source, scope, readOnly: false);
    }

    public async Task<TContext> CreateDbContextAsync(CancellationToken cancellationToken = default)
    {
        var (tenant, source) = await PrepareAsync(canWait: true, cancellationToken).ConfigureAwait(false);
        return factory.Make(tenant, source, scope, readOnly: false);
    }

    private async ValueTask<(Tenant Tenant, PooledDataSource Source)> PrepareAsync(bool canWait, CancellationToken ct)
    {
        // Looked up again: a scope may live for long, and its tenant be suspended or moved meanwhile.
        var id = (current.Tenant ?? throw new TenantNotResolvedException()).Id;
        var tenant = await tenants.GetActiveAsync(id, ct).ConfigureAwait(false);
        return await factory.PrepareAsync(tenant, readOnly: false, canWait, ct).ConfigureAwait(false);
    }
}
