using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace NeoCommons.EfCore;

/// <summary>One answer of the states of many connections.</summary>
internal static class ConnectionsReport
{
    public static HealthCheckResult Make(
        IReadOnlyDictionary<string, ConnectionHealth> found,
        HealthCheckContext context,
        string predicate
    )
    {
        var known = found.Where(f => f.Value.Status != ConnectionHealthStatus.Unknown).ToList();
        var healthy = known.Count(f => f.Value.Status == ConnectionHealthStatus.Healthy);
        var bad = known
            .Where(f => f.Value.Status != ConnectionHealthStatus.Healthy)
            .Select(f => f.Key)
            .Order(StringComparer.Ordinal);
        var status =
            healthy == known.Count ? HealthStatus.Healthy
            : known.All(f => f.Value.Status == ConnectionHealthStatus.Unhealthy) ? context.Registration.FailureStatus
            : HealthStatus.Degraded;
        var description =
            $"{healthy} of {known.Count} connections in use {predicate}"
            + (healthy == known.Count ? "." : $"; not so: {string.Join(", ", bad)}.");
        var data = found.OrderBy(f => f.Key, StringComparer.Ordinal).ToDictionary(f => f.Key, object (f) => f.Value);
        return new HealthCheckResult(status, description, data: data);
    }
}
