using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore.Admin;

/// <summary>A new tenant, and the only way to its data while it is not active.</summary>
public sealed class TenantSeeding
{
    internal TenantSeeding(Tenant tenant, IServiceProvider services)
    {
        Tenant = tenant;
        Services = services;
    }

    /// <summary>The tenant, which is <see cref="TenantStatus.Provisioning"/>.</summary>
    public Tenant Tenant { get; }

    /// <summary>The DI scope of the seeding.</summary>
    public IServiceProvider Services { get; }

    /// <summary>Makes a context of the tenant, bound to its schema as always; the caller disposes it.</summary>
    /// <typeparam name="TContext">A registered tenant context.</typeparam>
    public ValueTask<TContext> CreateDbContextAsync<TContext>(CancellationToken ct = default)
        where TContext : DbContext =>
        Services.GetRequiredService<TenantDbContextFactory<TContext>>().CreateAsync(Tenant, Services, ct);
}
