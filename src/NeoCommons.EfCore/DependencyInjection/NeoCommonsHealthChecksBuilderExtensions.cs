using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using NeoCommons.EfCore;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the health checks of NeoCommons.</summary>
public static class NeoCommonsHealthChecksBuilderExtensions
{
    /// <summary>
    /// Adds <c>neocommons-connections</c>, how each database that is in use answers and how large its catalog is, and
    /// <c>neocommons-pools</c>, how full the pools of this process are. Both are tagged <c>ready</c>; their data are
    /// a <see cref="ConnectionHealth"/> per connection, and a <see cref="PoolHealth"/> per pool. And <c>neocommons-live</c>, tagged <c>live</c>, which is
    /// healthy while the process answers: a database that is away is no reason to restart it.
    /// </summary>
    /// <remarks>
    /// They answer from memory: a monitor looks at the connections in the background, every
    /// <see cref="ConnectionHealthOptions.Interval"/>, while the host runs.
    /// </remarks>
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
        builder.Services.AddOptions<ConnectionHealthOptions>().Configure(configure ?? (_ => { })).ValidateOnStart();
        builder.Services.TryAddEnumerable(
            ServiceDescriptor.Singleton<IValidateOptions<ConnectionHealthOptions>, ConnectionHealthOptionsValidation>()
        );
        return builder
            .AddCheck<ConnectionsHealthCheck>("neocommons-connections", failureStatus, ["ready"])
            .AddCheck<PoolsHealthCheck>("neocommons-pools", failureStatus, ["ready"])
            .AddCheck("neocommons-live", () => HealthCheckResult.Healthy("The process answers."), ["live"]);
    }
}
