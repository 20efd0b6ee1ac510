using NeoCommons.EfCore.Admin;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers what takes part in the life of tenants.</summary>
public static class TenantLifecycleBuilderExtensions
{
    /// <summary>Adds a handler; handlers are called in the order of their registration.</summary>
    /// <typeparam name="THandler">The handler, made in a scope of each change.</typeparam>
    public static NeoCommonsBuilder AddTenantLifecycleHandler<THandler>(this NeoCommonsBuilder builder)
        where THandler : class, ITenantLifecycleHandler
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddScoped<ITenantLifecycleHandler, THandler>();
        return builder;
    }

    /// <summary>Adds what a new tenant is seeded with; seeders are called in the order of their registration.</summary>
    /// <typeparam name="TSeeder">The seeder, made in a scope of each creation.</typeparam>
    public static NeoCommonsBuilder AddTenantSeeder<TSeeder>(this NeoCommonsBuilder builder)
        where TSeeder : class, ITenantSeeder
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddScoped<ITenantSeeder, TSeeder>();
        return builder;
    }
}
