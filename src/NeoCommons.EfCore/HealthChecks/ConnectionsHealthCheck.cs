using System.Collections.Concurrent;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore;

/// <summary>Reports which registered databases can be reached, one entry each.</summary>
/// <remarks>
/// Degraded where some cannot: the tenants of the others go on, and an orchestrator that took the process away would
/// stop them too. The registration's failure status where none can.
/// </remarks>
internal sealed class ConnectionsHealthCheck(
    IConnectionRegistry registry,
    ConnectionProbe probe,
    IOptions<ConnectionHealthOptions> options
) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(
        HealthCheckContext context,
        CancellationToken cancellationToken = default
    )
    {
        IReadOnlyList<DatabaseConnection> rows;
        try
        {
            rows = await registry.ListAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            return new HealthCheckResult(
                context.Registration.FailureStatus,
                "The registry of connections cannot be read."
            );
        }

        var found = new ConcurrentDictionary<string, ConnectionHealth>(StringComparer.Ordinal);
        var parallel = new ParallelOptions
        {
            MaxDegreeOfParallelism = options.Value.Parallelism,
            CancellationToken = cancellationToken,
        };
        await Parallel
            .ForEachAsync(
                rows,
                parallel,
                async (row, ct) => found[row.Name] = await probe.LookAsync(row, ct).ConfigureAwait(false)
            )
            .ConfigureAwait(false);
        return ConnectionsReport.Make(found, context, "can be used");
    }
}
