namespace NeoCommons.EfCore.Admin;

/// <summary>How many tenants are migrated at a time, in which order, and when to stop.</summary>
public sealed record MigrateAllOptions
{
    /// <summary>
    /// Tenants at a time in this process, over all servers. <value>Default: 8; at least 1.</value> Each holds one
    /// connection beside the pools, and locks on what its migrations touch.
    /// </summary>
    public int Parallelism { get; init; } = 8;

    /// <summary>Tenants at a time in this process on one server, a host and port. <value>Default: 4; at least 1.</value></summary>
    public int ParallelismPerServer { get; init; } = 4;

    /// <summary>
    /// How long a statement waits for a lock before the tenant is rolled back and tried again, so that it does not hold
    /// up the tenant's own queries behind it. <value>Default: 5 s; zero: for ever.</value>
    /// </summary>
    public TimeSpan LockTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long a tenant waits for its schema when another migration is at it, or its creation, renaming or removal. Then it
    /// has failed, untouched. <value>Default: 5 min; zero: not at all.</value>
    /// </summary>
    public TimeSpan SchemaLockTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// How often a tenant is tried when a lock times out, a deadlock is broken or its connection is lost.
    /// <value>Default: 5; at least 1.</value>
    /// </summary>
    public int Attempts { get; init; } = 5;

    /// <summary>
    /// Who comes first. All other tenants make the last ring. <value>Default: none, one ring for all.</value> A run that
    /// goes on already keeps its rings.
    /// </summary>
    public IReadOnlyList<MigrationRing> Rings { get; init; } = [];

    /// <summary>
    /// How many tenants may fail; one more, and no further tenant is begun. <value>Default: null, any number: one that
    /// fails does not stop the others.</value> The number that was given last holds for a run that goes on already.
    /// </summary>
    public int? ErrorBudget { get; init; }

    internal void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(Parallelism, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(ParallelismPerServer, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(Attempts, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(LockTimeout, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(
            LockTimeout.TotalMilliseconds,
            int.MaxValue,
            nameof(LockTimeout)
        );
        ArgumentOutOfRangeException.ThrowIfLessThan(SchemaLockTimeout, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfNegative(ErrorBudget ?? 0, nameof(ErrorBudget));
    }
}
