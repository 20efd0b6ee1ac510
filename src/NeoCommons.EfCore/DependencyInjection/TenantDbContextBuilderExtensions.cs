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
        where TContext : DbContext => builder.Add<TContext>(configure, options => new NewContexts<TContext>(options));

    /// <summary>
    /// Adds a context as <c>AddTenantDbContext</c> does, and keeps disposed ones for their next use by any tenant: for
    /// applications whose contexts live for one short request.
    /// </summary>
    /// <remarks>
    /// Nothing of a lease survives its end: tenant, connection, tracked entities, transaction, command timeout, tracking
    /// behaviour. What does, as with EF's own <c>AddDbContextPool</c>, are fields of your context class: keep no state of a
    /// tenant there. And as there, whoever goes on using a context after disposing it may meet the next lease: EF notices
    /// only while the context lies in the pool.
    /// </remarks>
    /// <param name="builder">The builder.</param>
    /// <param name="configure">Further options, as for <c>AddTenantDbContext</c>.</param>
    /// <param name="poolSize">
    /// About how many disposed contexts are kept, over all tenants; more are made and thrown away where more are in use. A context that
    /// is never disposed takes its place for ever.
    /// <value>Default: 1,024, as in EF.</value>
    /// </param>
    /// <exception cref="InvalidOperationException">
    /// The context is registered already, as this or as an ordinary one; or, when the first context is asked for, its options
    /// hold <c>ModelPerSchema()</c>: a pooled context keeps its model.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The pool has no room for one context.</exception>
    public static NeoCommonsBuilder AddPooledTenantDbContext<TContext>(
        this NeoCommonsBuilder builder,
        Action<DbContextOptionsBuilder>? configure = null,
        int poolSize = 1024
    )
        where TContext : DbContext =>
        builder.AddPooledTenantDbContext<TContext>((_, options) => configure?.Invoke(options), poolSize);

    /// <inheritdoc cref="AddPooledTenantDbContext{TContext}(NeoCommonsBuilder, Action{DbContextOptionsBuilder}?, int)"/>
    public static NeoCommonsBuilder AddPooledTenantDbContext<TContext>(
        this NeoCommonsBuilder builder,
        Action<IServiceProvider, DbContextOptionsBuilder> configure,
        int poolSize = 1024
    )
        where TContext : DbContext
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(poolSize, 1);
        return builder.Add<TContext>(configure, options => new PooledContexts<TContext>(options, poolSize));
    }

    private static NeoCommonsBuilder Add<TContext>(
        this NeoCommonsBuilder builder,
        Action<IServiceProvider, DbContextOptionsBuilder> configure,
        Func<DbContextOptions<TContext>, IUnboundContexts<TContext>> contexts
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
                scope =>
                    ActivatorUtilities.CreateInstance<TContext>(
                        scope,
                        SchemaNeutral(scope.GetRequiredService<DbContextOptions<TContext>>())
                    )
            )
        );
        services.TryAddSingleton(provider => contexts(provider.GetRequiredService<DbContextOptions<TContext>>()));
        services.TryAddSingleton<SchemaVersionGate<TContext>>();
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

    // The placeholder of QualifiedNames is in no migration.
    private static DbContextOptions<TContext> SchemaNeutral<TContext>(DbContextOptions<TContext> options)
        where TContext : DbContext
    {
        var settings = options.FindExtension<TenantOptionsExtension>()!.Settings;
        return settings.Binding == SchemaBinding.SearchPath
            ? options
            : (DbContextOptions<TContext>)
                options.WithExtension(new TenantOptionsExtension(settings with { Binding = SchemaBinding.SearchPath }));
    }

    private static DbContextOptions<TContext> BuildOptions<TContext>(
        IServiceProvider provider,
        Action<IServiceProvider, DbContextOptionsBuilder> configure
    )
        where TContext : DbContext
    {
        var connections = provider.GetRequiredService<IOptions<ConnectionOptions>>().Value;
        var options = new DbContextOptionsBuilder<TContext>();
        options
            .UseApplicationServiceProvider(provider)
            .UseNpgsql(npgsql => npgsql.ExecutionStrategy(d => new TenantExecutionStrategy(d)));
        ((IDbContextOptionsBuilderInfrastructure)options).AddOrUpdateExtension(
            new TenantOptionsExtension(new TenantContextSettings { SharedSchemas = [.. connections.AllSharedSchemas] })
        );
        configure(provider, options);
        if (!options.Options.GetExtension<TenantOptionsExtension>().Settings.AllowsEntitiesOfOtherTenants)
        {
            ((IDbContextOptionsBuilderInfrastructure)options).AddOrUpdateExtension(new SaveGuardExtension());
        }

        TenantOptionsExtension.ThrowIfUnsafe(options.Options);
        options.ReplaceService<IModelSource, TenantModelSource>();
        options.ReplaceService<IDatabase, TenantDatabase>();
        options.ReplaceService<IRelationalConnection, TenantConnection>();
        options.ReplaceService<IRelationalDatabaseCreator, TenantDatabaseCreator>();
        options.ReplaceService<IRelationalDatabaseFacadeDependencies, TenantFacade>();
        options.ReplaceService<IRelationalCommandBuilderFactory, TenantCommandFactory>();
        options.ReplaceService<IRelationalTransactionFactory, TenantTransaction.Factory>();
        return options.Options;
    }
}
