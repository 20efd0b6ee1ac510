namespace NeoCommons.EfCore.Admin;

/// <summary>How many tenants are migrated at a time.</summary>
public sealed record MigrateAllOptions
{
    /// <summary>
    /// Tenants at a time, over all databases. <value>Default: 4; at least 1.</value> Each holds one connection beside the pools, and
    /// locks on what its migrations touch.
    /// </summary>
    public int Parallelism { get; init; } = 4;
}
