using System.Runtime.CompilerServices;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore;

/// <summary>What the registry's rows say by themselves, without a pool or a server; found out once for each row as it was read.</summary>
internal sealed class RowHealths(IOptions<ConnectionOptions> options)
{
    // A changed row is another object, and goes with it.
    private readonly ConditionalWeakTable<DatabaseConnection, RowHealth> _known = [];

    /// <summary>Of one row.</summary>
    public RowHealth Of(DatabaseConnection row) => _known.GetValue(row, Find);

    private RowHealth Find(DatabaseConnection row)
    {
        var unused = Make(row, ConnectionHealthStatus.Unknown, "not used yet");
        if (!row.IsActive)
        {
            return new(unused, unused with { Reason = "inactive" });
        }

        var fault = row.Password.FaultKind;
        if (fault is null && RowValidation.FindFaults(row, options.Value) is { Count: > 0 } faults)
        {
            fault =
                $"{nameof(ConnectionUnavailableReason.InvalidConfiguration)}: {string.Join(", ", faults.Select(f => f.What))}";
        }

        return new(unused, fault is null ? null : Make(row, ConnectionHealthStatus.Unhealthy, fault));
    }

    private static ConnectionHealth Make(DatabaseConnection row, ConnectionHealthStatus status, string? reason) =>
        new()
        {
            Status = status,
            Reason = reason,
            Type = row.Type,
            RegionId = row.RegionId,
            Pool = new PoolMetrics { ConnectionName = row.Name },
        };
}

/// <summary>What one row says by itself.</summary>
/// <param name="Unused">How it is where this process has not used it, and without a <paramref name="Fault"/>.</param>
/// <param name="Fault">Why it cannot be used; null where that has to be asked elsewhere.</param>
internal sealed record RowHealth(ConnectionHealth Unused, ConnectionHealth? Fault);
