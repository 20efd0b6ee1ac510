using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using NeoCommons.EfCore;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers tenant contexts.</summary>
public static class TenantDbContextBuilderExtensions
{
    /// <summary>
    /// Adds a context whose tables lie in each tenant's schema: <see cref="ITenantDbContextFactory{TContext}"/> for any
    /// tenant; <see cref="IDbContextFactory{TContext}"/> and the context itself, scoped, for the current one.
    /// </summary>
    /// <param name="builder">The builder.</param>
    /// <param name="configure">
    /// Further options, as for <c>AddDbContext</c>; call <c>UseNpgsql(npgsql => ...)</c> without a connection to set the
    /// provider's. Called once: the options are the same for all tenants and connections.
    /// </param>
    /// <exception cref="InvalidOperationException">The context is registered already, as this or as an ordinary one.</exception>
    public static NeoCommonsBuilder AddTenantDbContext<TContext>(
        this NeoCommonsBuilder builder,
        Action<DbContextOptionsBuilder>? configure = null
    )
        where TContext : DbContext => builder.AddTenantDbContext<TContext>((_, options) => configure?.Invoke(options));

    /// <inheritdoc cref="AddTenantDbContext{TContext}(NeoCommonsBuilder, Action{DbContextOptionsBuilder}?)"/>
    public static NeoCommonsBuilder AddTenantDbContext<TContext>(
        this NeoCommonsBuilder builder,
        Action<IServiceProvider, DbContextOptionsBuilder> configure
    )
        where TContext : DbContext
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(configure);

        var services = builder.Services;
        if (services.Any(s => s.ImplementationInstance is TenantDbContextType known && known.Type == typeof(TContext)))
        {
            throw new InvalidOperationException(
                $"{typeof(TContext).Name} is registered already; register each tenant context once, with all its options."
            );
        }

        if (services.Any(s => s.ServiceType == typeof(TContext) || s.ServiceType == typeof(DbContextOptions<TContext>)))
        {
            throw new InvalidOperationException(
                $"{typeof(TContext).Name} is registered with AddDbContext, AddDbContextFactory or by hand, and such a context has no "
                    + "tenant. Remove that registration, and pass its options to AddTenantDbContext."
            );
        }

        services.TryAddSingleton(provider => BuildOptions<TContext>(provider, configure));
        services.AddSingleton<DbContextOptions>(provider => provider.GetRequiredService<DbContextOptions<TContext>>());
        services.AddSingleton(
            new TenantDbContextType(
                typeof(TContext),
                scope => scope.GetRequiredService<TenantDbContextFactory<TContext>>().CreateUnbound(scope)
            )
        );
        services.TryAddSingleton<TenantDbContextFactory<TContext>>();
        services.TryAddSingleton<ITenantDbContextFactory<TContext>>(provider =>
            provider.GetRequiredService<TenantDbContextFactory<TContext>>()
        );
        services.TryAddScoped<IDbContextFactory<TContext>>(provider =>
            EF.IsDesignTime && provider.GetRequiredService<ITenantContext>().Tenant is null
                ? ActivatorUtilities.CreateInstance<DesignTimeDbContextFactory<TContext>>(provider)
                : ActivatorUtilities.CreateInstance<CurrentTenantDbContextFactory<TContext>>(provider)
        );
        services.TryAddScoped(provider => provider.GetRequiredService<IDbContextFactory<TContext>>().CreateDbContext());
        return builder;
    }

    private static DbContextOptions<TContext> BuildOptions<TContext>(
        IServiceProvider provider,
        Action<IServiceProvider, DbContextOptionsBuilder> configure
    )
        where TContext : DbContext
    {
        var connections = provider.GetRequiredService<IOptions<ConnectionOptions>>().Value;
        var options = new DbContextOptionsBuilder<TContext>();
        options.UseApplicationServiceProvider(provider).UseNpgsql();
        ((IDbContextOptionsBuilderInfrastructure)options).AddOrUpdateExtension(
            new TenantOptionsExtension(new TenantContextSettings { SharedSchemas = [.. connections.SharedSchemas] })
        );
        configure(provider, options);
        options.ReplaceService<IRelationalDatabaseCreator, TenantDatabaseCreator>();
        options.ReplaceService<IRelationalDatabaseFacadeDependencies, TenantFacade>();
        TenantOptionsExtension.ThrowIfUnsafe(options.Options);
        return options.Options;
    }
}
