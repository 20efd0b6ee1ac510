using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.Admin;

/// <summary>Calls the application's handlers.</summary>
internal sealed class LifecycleHooks(
    IServiceScopeFactory scopes,
    IServiceProviderIsService registered,
    ILogger<LifecycleHooks> log
)
{
    /// <summary>Whether a new tenant is to be seeded.</summary>
    public bool HasSeeders => registered.IsService(typeof(ITenantSeeder));

    public async Task SeedAsync(Tenant tenant, CancellationToken ct)
    {
        var scope = scopes.CreateAsyncScope();
        await using var _ = scope.ConfigureAwait(false);
        var seeding = new TenantSeeding(tenant, scope.ServiceProvider);
        foreach (var seeder in scope.ServiceProvider.GetServices<ITenantSeeder>())
        {
            await seeder.SeedAsync(seeding, ct).ConfigureAwait(false);
        }
    }

    public async Task BeforeAsync(TenantLifecycleChange change, CancellationToken ct)
    {
        var scope = scopes.CreateAsyncScope();
        await using var _ = scope.ConfigureAwait(false);
        foreach (var handler in scope.ServiceProvider.GetServices<ITenantLifecycleHandler>())
        {
            await handler.BeforeAsync(change, ct).ConfigureAwait(false);
        }
    }

    /// <summary>Tells that a change is made; it takes no token, since no cancellation may say otherwise.</summary>
    public async Task AfterAsync(TenantLifecycleChange change)
    {
        var scope = scopes.CreateAsyncScope();
        await using var _ = scope.ConfigureAwait(false);
        foreach (var handler in scope.ServiceProvider.GetServices<ITenantLifecycleHandler>())
        {
            try
            {
                await handler.AfterAsync(change, CancellationToken.None).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                LifecycleLogMessages.HandlerFailed(log, e, handler.GetType().Name, change.Action, change.Tenant.Slug);
            }
        }
    }
}
