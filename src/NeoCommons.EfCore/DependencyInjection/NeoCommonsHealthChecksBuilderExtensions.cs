using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using NeoCommons.EfCore;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the health checks of NeoCommons.</summary>
public static class NeoCommonsHealthChecksBuilderExtensions
{
    /// <summary>
    /// Adds <c>neocommons-connections</c>, which asks each database that is in use <c>SELECT 1</c>, and
    /// <c>neocommons-pools</c>, which reads the pools of this process. Both are tagged <c>ready</c> and carry a
    /// <see cref="ConnectionHealth"/> per connection in their data.
    /// </summary>
    /// <param name="builder">The builder.</param>
    /// <param name="configure">Thresholds; validated at start.</param>
    /// <param name="failureStatus">The status when nothing works. <value>Default: <see cref="HealthStatus.Unhealthy"/>.</value></param>
    public static IHealthChecksBuilder AddNeoCommons(
        this IHealthChecksBuilder builder,
        Action<ConnectionHealthOptions>? configure = null,
        HealthStatus failureStatus = HealthStatus.Unhealthy
    )
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.TryAddSingleton<ConnectionProbe>();
        builder.Services.AddOptions<ConnectionHealthOptions>().Configure(configure ?? (_ => { })).ValidateOnStart();
        builder.Services.TryAddEnumerable(
            ServiceDescriptor.Singleton<IValidateOptions<ConnectionHealthOptions>, ConnectionHealthOptionsValidation>()
        );
        return builder
            .AddCheck<ConnectionsHealthCheck>("neocommons-connections", failureStatus, ["ready"])
            .AddCheck<PoolsHealthCheck>("neocommons-pools", failureStatus, ["ready"]);
    }
}
