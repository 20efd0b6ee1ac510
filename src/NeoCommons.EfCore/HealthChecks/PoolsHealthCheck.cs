using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace NeoCommons.EfCore;

/// <summary>Reports how full the pools of this process are; talks to no database.</summary>
internal sealed class PoolsHealthCheck(ConnectionMonitor monitor) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(
        HealthCheckContext context,
        CancellationToken cancellationToken = default
    )
    {
        try
        {
            var found = await monitor.ReadPoolsAsync(cancellationToken).ConfigureAwait(false);
            return ConnectionsReport.Make(found, f => f.Status, context, "have room");
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            return new HealthCheckResult(
                context.Registration.FailureStatus,
                "The registry of connections cannot be read."
            );
        }
    }
}
