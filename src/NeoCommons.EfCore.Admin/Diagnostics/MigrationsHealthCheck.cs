using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace NeoCommons.EfCore.Admin;

/// <summary>Reports how many tenants lack migrations of this application; talks to no database itself.</summary>
/// <remarks>Never worse than degraded: the tenants that are up to date are served.</remarks>
internal sealed class MigrationsHealthCheck(SchemaVersions versions, TimeProvider time) : IHealthCheck
{
    public const string Name = "neocommons-migrations";

    public Task<HealthCheckResult> CheckHealthAsync(
        HealthCheckContext context,
        CancellationToken cancellationToken = default
    )
    {
        if (versions.Read() is not { } counted)
        {
            return Task.FromResult(
                versions.HasFailed
                    ? HealthCheckResult.Degraded(
                        "Tenants that lack migrations could not be counted: the admin database could not be asked."
                    )
                    : HealthCheckResult.Healthy("Tenants that lack migrations were not counted yet.")
            );
        }

        var age = time.GetElapsedTime(counted.At);
        var old = versions.HasFailed
            ? $" Counted {age.TotalMinutes:0} minutes ago: the admin database could not be asked since."
            : "";
        var data = new Dictionary<string, object>
        {
            ["activeTenants"] = counted.Active,
            ["behind"] = counted.Behind,
            ["migrating"] = counted.Migrating,
            ["ageSeconds"] = Math.Round(age.TotalSeconds, 1),
        };
        return Task.FromResult(
            counted.Behind == 0
                ? HealthCheckResult.Healthy(
                    "No tenant's row notes an older version than this application's newest migration." + old,
                    data
                )
                : HealthCheckResult.Degraded(
                    $"{counted.Behind} of {counted.Active} tenants lack migrations of this application: 'tenants migrate --all'.{old}",
                    data: data
                )
        );
    }
}
