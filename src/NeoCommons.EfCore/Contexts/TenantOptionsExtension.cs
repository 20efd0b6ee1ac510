using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata.Conventions.Infrastructure;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore;

/// <summary>Marks the options of a tenant context and puts our services beside EF's own, scoped to the context.</summary>
internal sealed class TenantOptionsExtension(TenantContextSettings settings) : IDbContextOptionsExtension
{
    public TenantContextSettings Settings => settings;

    public DbContextOptionsExtensionInfo Info => new TenantExtensionInfo(this);

    public void ApplyServices(IServiceCollection services)
    {
        services.AddScoped<TenantLease>();
        services.AddScoped<LeaseEnd>();
        services.Insert(
            0,
            ServiceDescriptor.Scoped<IResettableService, LeaseEnd>(provider => provider.GetRequiredService<LeaseEnd>())
        );
        new EntityFrameworkServicesBuilder(services).TryAdd<IResettableService, TenantLease>(provider =>
            provider.GetRequiredService<TenantLease>()
        );
        services.AddScoped<IConventionSetPlugin, PlaceholderSchema>();
        services.AddScoped<IInterceptor, SearchPathInterceptor>();
        services.AddScoped<IInterceptor, ForeignSql>();
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

        // One internal service provider serves all tenant contexts of an application that are set up alike. It caches
        // models, and what is in a model, and whether it is refused, depends on the settings.
        public override int GetServiceProviderHashCode() => extension.Settings.GetHashCode();

        public override bool ShouldUseSameServiceProvider(DbContextOptionsExtensionInfo other) =>
            other is TenantExtensionInfo { Extension: TenantOptionsExtension known }
            && known.Settings.Equals(extension.Settings);

        public override void PopulateDebugInfo(IDictionary<string, string> debugInfo) =>
            debugInfo["NeoCommons:SchemaPerTenant"] = "1";
    }
}
