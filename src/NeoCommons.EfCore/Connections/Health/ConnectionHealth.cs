namespace NeoCommons.EfCore;

/// <summary>How one connection was when it was looked at. Holds no host name, user name or exception text.</summary>
public sealed record ConnectionHealth
{
    /// <summary>The outcome.</summary>
    public required ConnectionHealthStatus Status { get; init; }

    /// <summary>
    /// Why, where it is not healthy: <c>inactive</c>, <c>not used yet</c>, <c>slow</c>, <c>saturated</c>, <c>timeout</c>,
    /// <c>catalog pressure</c>, <c>host out of service</c>, <c>not looked at yet</c>, the name of a check of the application, what is wrong with its secret, such as <c>secret is for another database</c>, or the name of a
    /// <see cref="ConnectionUnavailableReason"/>; with <c>InvalidConfiguration</c> what is wrong in its row: <c>host, port</c>.
    /// </summary>
    public string? Reason { get; init; }

    /// <summary>Since when callers are refused, and why, where the reason is <c>CircuitOpen</c> or <c>NoHost</c>; else null.</summary>
    public ConnectionOutage? Outage { get; init; }

    /// <summary>What the database is used for.</summary>
    public required ConnectionType Type { get; init; }

    /// <summary>The region, if any.</summary>
    public string? RegionId { get; init; }

    /// <summary>How long leasing a connection and <c>SELECT 1</c> took together, in milliseconds; null where not tried.</summary>
    public double? ResponseMilliseconds { get; init; }

    /// <summary>How long ago the server was asked, in seconds; null where this is an answer of now.</summary>
    public double? AgeSeconds { get; init; }

    /// <summary>How large the database's catalog is; null where it was not counted yet.</summary>
    public CatalogPressure? Catalog { get; init; }

    /// <summary>The servers of a row with <c>replica_hosts</c>, the row's own host first; empty for others, and before they were looked at.</summary>
    public IReadOnlyList<HostHealth> Hosts { get; init; } = [];

    /// <summary>The pool in this process.</summary>
    public required PoolMetrics Pool { get; init; }
}
