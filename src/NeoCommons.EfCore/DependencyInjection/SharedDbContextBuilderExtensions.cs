using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using NeoCommons.EfCore;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers contexts of the tables that all tenants of a database share.</summary>
public static class SharedDbContextBuilderExtensions
{
    /// <summary>
    /// Adds a context for tables that all tenants of a database share, in the schema of
    /// <see cref="SchemaNaming.Shared"/>: reference data, for one. Its migrations are applied once per database, before
    /// those of the tenants, and recorded in that schema. <see cref="ISharedDbContextFactory{TContext}"/> makes the context.
    /// </summary>
    /// <param name="builder">The builder.</param>
    /// <param name="configure">
    /// Further options, as for <c>AddDbContext</c>; call <c>UseNpgsql(npgsql => ...)</c> without a connection to set the
    /// provider's. Called once: the options are the same for all databases.
    /// </param>
    /// <remarks>
    /// A tenant's context uses the tables by mapping their entities with <c>IsShared()</c>, or with
    /// <c>ToTable("x", "shared", t => t.ExcludeFromMigrations())</c>. The schema is not on the tenants' search path: a table
    /// that a tenant lacks is missing, and never the shared one of the same name.
    /// </remarks>
    /// <exception cref="InvalidOperationException">The context is registered already, in this or another way.</exception>
    public static NeoCommonsBuilder AddSharedDbContext<TContext>(
        this NeoCommonsBuilder builder,
        Action<DbContextOptionsBuilder>? configure = null
    )
        where TContext : DbContext
    {
        ArgumentNullException.ThrowIfNull(builder);
        var services = builder.Services;
        if (services.Any(s => s.ServiceType == typeof(TContext) || s.ServiceType == typeof(DbContextOptions<TContext>)))
        {
            throw new InvalidOperationException(
                $"{typeof(TContext).Name} is registered already. Register it once, with all its options, as a tenant's context, a "
                    + "shared one or an ordinary one."
            );
        }

        services
            .AddOptions<ConnectionOptions>()
            .PostConfigure<IOptions<SchemaNaming>>(
                (connections, naming) => connections.SchemaOfSharedContexts = naming.Value.Shared
            );
        services.AddSingleton(provider => BuildOptions<TContext>(provider, configure));
        services.AddSingleton<DbContextOptions>(provider => provider.GetRequiredService<DbContextOptions<TContext>>());
        services.AddSingleton(
            new SharedDbContextType(
                typeof(TContext),
                scope =>
                    ActivatorUtilities.CreateInstance<TContext>(
                        scope,
                        scope.GetRequiredService<DbContextOptions<TContext>>()
                    )
            )
        );
        services.TryAddSingleton<ISharedDbContextFactory<TContext>, SharedDbContextFactory<TContext>>();
        return builder;
    }

    private static DbContextOptions<TContext> BuildOptions<TContext>(
        IServiceProvider provider,
        Action<DbContextOptionsBuilder>? configure
    )
        where TContext : DbContext
    {
        var schema = SchemaName.Parse(provider.GetRequiredService<IOptions<SchemaNaming>>().Value.Shared);
        var others = provider.GetRequiredService<IOptions<ConnectionOptions>>().Value.SharedSchemas;
        var shared = new SharedOptionsExtension(schema, [.. others]);
        var options = new DbContextOptionsBuilder<TContext>();
        options.UseApplicationServiceProvider(provider).UseNpgsql();
        ((IDbContextOptionsBuilderInfrastructure)options).AddOrUpdateExtension(shared);
        configure?.Invoke(options);
        shared.ThrowIfUnsafe(options.Options);
        var history = RelationalOptionsExtension.Extract(options.Options).MigrationsHistoryTableName;
        options.UseNpgsql(npgsql =>
            npgsql.MigrationsHistoryTable(history ?? HistoryRepository.DefaultTableName, schema.Value)
        );
        options.ReplaceService<IRelationalDatabaseCreator, TenantDatabaseCreator>();
        return options.Options;
    }
}
