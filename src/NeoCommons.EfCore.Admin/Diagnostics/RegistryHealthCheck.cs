using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>Reports how fresh the registry of this process is; talks to no database.</summary>
/// <remarks>
/// Never worse than degraded: what is known stays in force, and a process that is taken out of service because the admin
/// database is away serves nobody at all.
/// </remarks>
internal sealed class RegistryHealthCheck(RegistryMetrics metrics, IOptions<AdminDatabaseOptions> options)
    : IHealthCheck
{
    public const string Name = "neocommons-registry";

    /// <summary>What a reading may take on top of the interval.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(10);

    public Task<HealthCheckResult> CheckHealthAsync(
        HealthCheckContext context,
        CancellationToken cancellationToken = default
    )
    {
        var age = metrics.Age;
        var since = age ?? metrics.Uptime;
        var data = new Dictionary<string, object> { ["listening"] = metrics.IsListening };
        if (age is { } known)
        {
            data["ageSeconds"] = Math.Round(known.TotalSeconds, 1);
        }

        return Task.FromResult(
            since > options.Value.RefreshInterval + Grace
                ? HealthCheckResult.Degraded(
                    $"The registry's changes have not been read for {since.TotalSeconds:0} s; what is known stays in force.",
                    data: data
                )
            : metrics.IsListening ? HealthCheckResult.Healthy("The registry is up to date.", data)
            : HealthCheckResult.Healthy(
                $"The registry's changes were read {since.TotalSeconds:0} s ago; nobody listens for them, so they are looked for every NeoCommons:AdminDatabase:RefreshInterval.",
                data
            )
        );
    }
}
