using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore;

/// <summary>EF's own factory, for the tenant of the current scope.</summary>
internal sealed class CurrentTenantDbContextFactory<TContext>(
    TenantDbContextFactory<TContext> factory,
    ITenantContext current,
    IServiceProvider scope
) : IDbContextFactory<TContext>
    where TContext : DbContext
{
    public TContext CreateDbContext()
    {
        // EF's contract is synchronous. The registry answers from memory once it is loaded, so this waits only in a
        // process whose very first lookup it is.
        var creation = CreateAsync(CancellationToken.None);
        return creation.IsCompletedSuccessfully ? creation.Result : creation.AsTask().GetAwaiter().GetResult();
    }

    public Task<TContext> CreateDbContextAsync(CancellationToken cancellationToken = default) =>
        CreateAsync(cancellationToken).AsTask();

    private ValueTask<TContext> CreateAsync(CancellationToken ct) =>
        factory.CreateAsync((current.Tenant ?? throw new TenantNotResolvedException()).ThrowIfNotActive(), scope, ct);
}
