using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace NeoCommons.EfCore;

/// <summary>One answer of the states of many connections or pools.</summary>
internal static class ConnectionsReport
{
    public static HealthCheckResult Make<T>(
        IReadOnlyDictionary<string, T> found,
        Func<T, ConnectionHealthStatus> statusOf,
        HealthCheckContext context,
        string predicate
    )
        where T : notnull
    {
        var known = found.Where(f => statusOf(f.Value) != ConnectionHealthStatus.Unknown).ToList();
        var healthy = known.Count(f => statusOf(f.Value) == ConnectionHealthStatus.Healthy);
        var bad = known
            .Where(f => statusOf(f.Value) != ConnectionHealthStatus.Healthy)
            .Select(f => f.Key)
            .Order(StringComparer.Ordinal);
        var status =
            healthy == known.Count ? HealthStatus.Healthy
            : known.All(f => statusOf(f.Value) == ConnectionHealthStatus.Unhealthy) ? context.Registration.FailureStatus
            : HealthStatus.Degraded;
        var description =
            $"{healthy} of {known.Count} connections in use {predicate}"
            + (healthy == known.Count ? "." : $"; not so: {string.Join(", ", bad)}.");
        var data = found.OrderBy(f => f.Key, StringComparer.Ordinal).ToDictionary(f => f.Key, object (f) => f.Value);
        return new HealthCheckResult(status, description, data: data);
    }
}
