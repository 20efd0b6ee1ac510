using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace NeoCommons.EfCore;

/// <summary>Reports which registered databases can be reached, one entry each; talks to none while the monitor runs.</summary>
/// <remarks>
/// Degraded where some cannot: the tenants of the others go on, and an orchestrator that took the process away would
/// stop them too. The registration's failure status where none can.
/// </remarks>
internal sealed class ConnectionsHealthCheck(ConnectionMonitor monitor) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(
        HealthCheckContext context,
        CancellationToken cancellationToken = default
    )
    {
        try
        {
            var found = await monitor.ReadAsync(cancellationToken).ConfigureAwait(false);
            return ConnectionsReport.Make(found, f => f.Status, context, "can be used");
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
