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
        // process whose very first lookup it is.
        var creation = CreateAsync(canWait: false, CancellationToken.None);
        return creation.IsCompletedSuccessfully ? creation.Result : creation.AsTask().GetAwaiter().GetResult();
    }

    public Task<TContext> CreateDbContextAsync(CancellationToken cancellationToken = default) =>
        CreateAsync(canWait: true, cancellationToken).AsTask();

    private async ValueTask<TContext> CreateAsync(bool canWait, CancellationToken ct)
    {
        // Looked up again: a scope may live for long, and its tenant be suspended or moved meanwhile.
        var id = (current.Tenant ?? throw new TenantNotResolvedException()).Id;
        var tenant = await tenants.GetActiveAsync(id, ct).ConfigureAwait(false);
        return await factory.CreateAsync(tenant, scope, ct, canWait: canWait).ConfigureAwait(false);
    }
}
