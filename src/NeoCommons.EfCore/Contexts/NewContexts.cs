using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore;

/// <summary>Makes each context anew.</summary>
internal sealed class NewContexts<TContext>(DbContextOptions<TContext> options) : IUnboundContexts<TContext>
    where TContext : DbContext
{
    private readonly TenantContextSettings _settings = options.FindExtension<TenantOptionsExtension>()!.Settings;

    private readonly ObjectFactory<TContext> _activate = ActivatorUtilities.CreateFactory<TContext>([
        typeof(DbContextOptions<TContext>),
    ]);

    public TContext Create(IServiceProvider provider, Tenant tenant) => _activate(provider, [OptionsFor(tenant)]);

    // One object for all tenants, unless the model is made of the tenant: even a constructor may ask for the model.
    private DbContextOptions OptionsFor(Tenant tenant) =>
        _settings.HasModelPerSchema ? options.WithExtension(new TenantOptionsExtension(_settings, tenant)) : options;
}
