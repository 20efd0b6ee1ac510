using System.Net;

namespace NeoCommons.EfCore;

/// <summary>Checks a registered row, which is data from outside, before the driver sees it.</summary>
internal static class RowValidation
{
    private const int LargestPool = 10_000;

    /// <summary>All faults of a row; none where it can be tried.</summary>
    public static IReadOnlyList<RowFault> FindFaults(DatabaseConnection row, ConnectionOptions options) =>
        [.. FaultsOfAddress(row, options), .. FaultsOfPool(row)];

    private static IEnumerable<RowFault> FaultsOfAddress(DatabaseConnection row, ConnectionOptions options)
    {
        if (HostRules.FindFault(row.Host, options.AllowedHosts) is { } fault)
        {
            yield return new RowFault("host", fault);
        }

        if (row.Port is < IPEndPoint.MinPort + 1 or > IPEndPoint.MaxPort)
        {
            yield return new RowFault("port", $"its port {row.Port} is not between 1 and {IPEndPoint.MaxPort}");
        }

        foreach (var replica in ReplicaFaults.Find(row, options))
        {
            yield return replica;
        }

        foreach (var (what, value) in new[] { ("database name", row.Database), ("user name", row.Username) })
        {
            if (string.IsNullOrEmpty(value) || value.Contains('\0', StringComparison.Ordinal))
            {
                yield return new RowFault(what, $"its {what} is empty or holds a NUL character");
            }
        }

        if (row.Password.Fault is null && row.Password.Reveal().Contains('\0', StringComparison.Ordinal))
        {
            yield return new RowFault("password", "its password holds a NUL character");
        }
    }

    private static IEnumerable<RowFault> FaultsOfPool(DatabaseConnection row)
    {
        if (
            row.MinPoolSize < 0
            || row.MaxPoolSize < 1
            || row.MinPoolSize > row.MaxPoolSize
            || row.MaxPoolSize > LargestPool
        )
        {
            yield return new RowFault(
                "pool size",
                $"its pool size {row.MinPoolSize} to {row.MaxPoolSize} must lie in 0 to {LargestPool}, with a maximum of at least 1 and not under the minimum"
            );
        }

        if (row.PoolTimeout < TimeSpan.FromSeconds(1) || row.PoolTimeout.TotalSeconds > 1024)
        {
            yield return new RowFault(
                "pool timeout",
                $"its pool timeout of {row.PoolTimeout.TotalSeconds:0.###} s is not between 1 and 1024 seconds"
            );
        }

        if (row.PoolRecycle < TimeSpan.Zero || row.PoolRecycle.TotalSeconds > int.MaxValue)
        {
            yield return new RowFault(
                "recycle time",
                $"its recycle time of {row.PoolRecycle.TotalSeconds:0.###} s is negative or too long"
            );
        }
    }
}
