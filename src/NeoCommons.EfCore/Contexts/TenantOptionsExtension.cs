using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata.Conventions.Infrastructure;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace NeoCommons.EfCore;

/// <summary>Marks the options of a tenant context and puts our services beside EF's own, scoped to the context.</summary>
/// <param name="settings">What holds for all tenants.</param>
/// <param name="tenant">The one whose model the context has, with <c>ModelPerSchema()</c>.</param>
internal sealed class TenantOptionsExtension(TenantContextSettings settings, Tenant? tenant = null)
    : IDbContextOptionsExtension
{
    // EF counts 10 for a query and 10 for each command of it, and has 10,240 in all: fifty queries for each model.
    private const long QueriesOfModel = 1_000;

    public TenantContextSettings Settings => settings;

    /// <summary>The tenant that the options of a context name, or null.</summary>
    /// <param name="context">EF's services of the context.</param>
    public static Tenant? TenantOf(IServiceProvider context) =>
        context.GetService<IDbContextOptions>()?.FindExtension<TenantOptionsExtension>()?.Tenant;

    private Tenant? Tenant => tenant;

    /// <summary>Whether the application has interceptors that see the connection: what they do to it is not known.</summary>
    public static bool HasInterceptors(IDbContextOptions options) =>
        options
            .FindExtension<CoreOptionsExtension>()
            ?.Interceptors?.Any(i =>
                i is IDbCommandInterceptor or IDbConnectionInterceptor or IDbTransactionInterceptor
            ) == true;

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
        services.AddScoped<IInterceptor, ForeignSql>();
        services.AddSingleton(settings);
        if (settings.HasModelPerSchema)
        {
            MakeRoomForQueries(services);
        }
    }

    // Queries are compiled for a model. Not with UseMemoryCache, which would cost EF a service provider for each host that
    // a process builds, and EF refuses the twentieth; the application may call it, and has its own cache then.
    private void MakeRoomForQueries(IServiceCollection services)
    {
        if (!services.Any(s => s.ServiceType == typeof(IMemoryCache) && s.ImplementationInstance is not null))
        {
            services.Replace(
                ServiceDescriptor.Singleton<IMemoryCache>(_ => new MemoryCache(
                    new MemoryCacheOptions { SizeLimit = Math.Max(10_240, settings.CachedModels * QueriesOfModel) }
                ))
            );
        }
    }

    public void Validate(IDbContextOptions options) => ThrowIfUnsafe(options);

    /// <summary>Refuses options that would lead around the tenant.</summary>
    /// <remarks>
    /// Called when the options are built: EF calls <see cref="Validate"/> only when it makes a service provider for them.
    /// </remarks>
    /// <exception cref="InvalidOperationException">
    /// They bring a connection, a schema for the history, another source of models, or one model where each tenant has its own.
    /// </exception>
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

        var core = options.FindExtension<CoreOptionsExtension>();
        if (
            core?.ReplacedServices?.FirstOrDefault(s => s.Key.Item1 == typeof(IModelSource)).Value is { } source
            && source != typeof(TenantModelSource)
        )
        {
            throw new InvalidOperationException(
                $"The models of a tenant context come from this library, which sees to it that none is another tenant's; remove "
                    + $"ReplaceService<IModelSource, {source.Name}>()."
            );
        }

        if (
            core?.Model is not null
            && options.FindExtension<TenantOptionsExtension>() is { Settings.HasModelPerSchema: true }
        )
        {
            throw new InvalidOperationException(
                "UseModel(...) gives all tenants one model, and ModelPerSchema() each its own: leave one of them out."
            );
        }
    }

    private sealed class TenantExtensionInfo(TenantOptionsExtension extension)
        : DbContextOptionsExtensionInfo(extension)
    {
        public override bool IsDatabaseProvider => false;

        public override string LogFragment => "using schema per tenant ";

        // One internal service provider serves all tenant contexts of an application that are set up alike. It caches
        // models; whether one is refused is asked anew.
        public override int GetServiceProviderHashCode() => extension.Settings.Models.GetHashCode();

        public override bool ShouldUseSameServiceProvider(DbContextOptionsExtensionInfo other) =>
            other is TenantExtensionInfo { Extension: TenantOptionsExtension known }
            && known.Settings.Models == extension.Settings.Models;

        public override void PopulateDebugInfo(IDictionary<string, string> debugInfo) =>
            debugInfo["NeoCommons:SchemaPerTenant"] = "1";
    }
}
