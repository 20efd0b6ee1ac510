using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore;

/// <summary>Marks the options of a tenant context and puts our services beside EF's own, scoped to the context.</summary>
internal sealed class TenantOptionsExtension(IReadOnlyList<string> sharedSchemas) : IDbContextOptionsExtension
{
    /// <summary>The schemas, besides the tenant's own, that a model may name.</summary>
    public IReadOnlyList<string> SharedSchemas => sharedSchemas;

    public DbContextOptionsExtensionInfo Info => new TenantExtensionInfo(this);

    public void ApplyServices(IServiceCollection services)
    {
        services.AddScoped<TenantLease>();
        new EntityFrameworkServicesBuilder(services).TryAdd<IResettableService, TenantLease>(provider =>
            provider.GetRequiredService<TenantLease>()
        );
        services.AddScoped<IInterceptor, SearchPathInterceptor>();
        services.AddScoped<IInterceptor, TenantCommandGuard>();
        services.AddScoped<IInterceptor, ReadOnlyInterceptor>();
    }

    public void Validate(IDbContextOptions options) => ThrowIfUnsafe(options);

    /// <summary>Refuses options that would lead around the tenant.</summary>
    /// <remarks>
    /// Called when the options are built: EF calls <see cref="Validate"/> only when it makes a service provider for them.
    /// </remarks>
    /// <exception cref="InvalidOperationException">They bring a connection, or a schema for the history.</exception>
    public static void ThrowIfUnsafe(IDbContextOptions options)
    {
        var relational = RelationalOptionsExtension.Extract(options);
        if (relational.Connection is not null || relational.ConnectionString is not null)
        {
            throw new InvalidOperationException(
                "A tenant context gets its connection from the tenant's row in the registry: call UseNpgsql() without a "
                    + "connection, connection string or data source."
            );
        }

        if (relational.MigrationsHistoryTableSchema is { } schema)
        {
            throw new InvalidOperationException(
                $"The migrations history of a tenant context is in the tenant's own schema; remove the schema '{schema}' "
                    + "from MigrationsHistoryTable(...)."
            );
        }
    }

    private sealed class TenantExtensionInfo(TenantOptionsExtension extension)
        : DbContextOptionsExtensionInfo(extension)
    {
        public override bool IsDatabaseProvider => false;

        public override string LogFragment => "using schema per tenant ";

        // One internal service provider serves all tenant contexts of an application. It caches models, and whether a
        // model is refused depends on the shared schemas: two applications in one process may differ in them.
        public override int GetServiceProviderHashCode() =>
            extension.SharedSchemas.Aggregate(0, (hash, schema) => HashCode.Combine(hash, schema));

        public override bool ShouldUseSameServiceProvider(DbContextOptionsExtensionInfo other) =>
            other is TenantExtensionInfo same
            && same.Extension is TenantOptionsExtension known
            && known.SharedSchemas.SequenceEqual(extension.SharedSchemas, StringComparer.Ordinal);

        public override void PopulateDebugInfo(IDictionary<string, string> debugInfo) =>
            debugInfo["NeoCommons:SchemaPerTenant"] = "1";
    }
}
