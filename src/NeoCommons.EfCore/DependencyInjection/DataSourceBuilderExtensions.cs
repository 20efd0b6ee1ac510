using NeoCommons.EfCore;
using Npgsql;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Configures the data sources that the library builds.</summary>
public static class DataSourceBuilderExtensions
{
    /// <summary>
    /// Adds what Npgsql needs on the data source rather than on the context: <c>MapEnum</c>, <c>UseNodaTime</c>,
    /// <c>EnableDynamicJson</c>, tracing. Called for each data source, before it is built.
    /// </summary>
    /// <param name="builder">The builder.</param>
    /// <param name="configure">
    /// Configures one data source. The types it maps must lie in <c>SharedSchemas</c>: a type of the same name in several
    /// tenants' schemas cannot be mapped on a pool that they share.
    /// </param>
    /// <remarks>
    /// Host, credentials, pool and search path come from the registry: changing the connection string makes the
    /// connection unavailable, with a message that says so.
    /// </remarks>
    public static NeoCommonsBuilder ConfigureDataSources(
        this NeoCommonsBuilder builder,
        Action<NpgsqlDataSourceBuilder> configure
    )
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(configure);
        builder.Services.Configure<ConnectionOptions>(options => options.DataSourceConfigurations.Add(configure));
        return builder;
    }
}
