using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using NeoCommons.EfCore;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers NeoCommons.</summary>
public static class NeoCommonsServiceCollectionExtensions
{
    /// <summary>
    /// Adds the runtime: pools, current tenant, raw connections, and a monitor that looks at the connections in use. Options come
    /// from sections <c>NeoCommons:Connections</c>, <c>NeoCommons:Health</c> and <c>NeoCommons:Naming</c> and are validated at start, all faults at once.
    /// </summary>
    /// <remarks>
    /// Tenants and connections come from <see cref="ITenantStore"/> and <see cref="IConnectionRegistry"/>: call
    /// <c>UseAdminDatabase</c> for those of the admin database, or register your own before or after. Calling this again
    /// adds nothing twice: the configuration of the first call is the one that is read.
    /// </remarks>
    public static NeoCommonsBuilder AddNeoCommons(this IServiceCollection services, IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configuration);

        services.AddLogging();
        services.TryAddSingleton(TimeProvider.System);
        if (services.All(s => s.ServiceType != typeof(TenantDataSources)))
        {
            // Binding appends to a list that is there already.
            services
                .AddOptions<ConnectionOptions>()
                .Bind(configuration.GetSection("NeoCommons:Connections"))
                .ValidateOnStart();
            services
                .AddOptions<ConnectionHealthOptions>()
                .Bind(configuration.GetSection("NeoCommons:Health"))
                .ValidateOnStart();
            services.AddOptions<SchemaNaming>().Bind(configuration.GetSection("NeoCommons:Naming")).ValidateOnStart();
        }

        services.TryAddEnumerable(
            ServiceDescriptor.Singleton<IValidateOptions<ConnectionOptions>, ConnectionOptionsValidation>()
        );
        services.TryAddEnumerable(
            ServiceDescriptor.Singleton<IValidateOptions<SchemaNaming>, SchemaNamingValidation>()
        );
        services.TryAddEnumerable(
            ServiceDescriptor.Singleton<IValidateOptions<ConnectionHealthOptions>, ConnectionHealthOptionsValidation>()
        );
        services.TryAddEnumerable(
            ServiceDescriptor.Singleton<IPostConfigureOptions<ConnectionOptions>, ApplicationNameDefault>()
        );

        services.TryAddSingleton<ServerBudgets>();
        services.TryAddSingleton<TenantDataSources>();
        services.TryAddSingleton<ConnectionInstruments>();
        services.TryAddSingleton<PoolMeter>();
        services.TryAddSingleton(s => new SearchPath(
            s.GetRequiredService<IOptions<ConnectionOptions>>().Value,
            s.GetRequiredService<IOptions<SchemaNaming>>().Value
        ));
        services.TryAddSingleton(s => new ConnectionOpening(
            s.GetRequiredService<IOptions<ConnectionOptions>>().Value,
            s.GetRequiredService<TimeProvider>()
        ));
        services.TryAddSingleton<CatalogPressures>();
        services.TryAddSingleton<RowHealths>();
        services.TryAddSingleton<ConnectionProbe>();
        services.TryAddSingleton<ConnectionMonitor>();
        services.TryAddEnumerable(
            ServiceDescriptor.Singleton<IHostedService, ConnectionMonitor>(s =>
                s.GetRequiredService<ConnectionMonitor>()
            )
        );
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, PoolShutdown>());
        services.TryAddSingleton<IDatabaseConnections, DatabaseConnections>();
        services.TryAddScoped<ITenantContext, TenantContext>();
        return new NeoCommonsBuilder(services, configuration);
    }
}
