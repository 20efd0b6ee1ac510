using NeoCommons.EfCore;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Opens DI scopes that belong to a tenant.</summary>
public static class TenantScopeExtensions
{
    /// <summary>
    /// Makes a scope whose <see cref="ITenantContext"/> is the tenant: for background jobs and message consumers. The
    /// caller disposes it.
    /// </summary>
    /// <exception cref="TenantNotFoundException">There is no such tenant.</exception>
    /// <exception cref="TenantUnavailableException">The tenant is not active.</exception>
    public static async ValueTask<AsyncServiceScope> CreateTenantScopeAsync(
        this IServiceProvider provider,
        TenantId tenant,
        CancellationToken ct = default
    )
    {
        ArgumentNullException.ThrowIfNull(provider);
        var found = await provider.GetRequiredService<ITenantStore>().GetActiveAsync(tenant, ct).ConfigureAwait(false);
        var scope = provider.CreateAsyncScope();
        scope.ServiceProvider.GetRequiredService<ITenantContext>().SetTenant(found);
        return scope;
    }
}
