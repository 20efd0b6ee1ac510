namespace NeoCommons.EfCore.Admin;

/// <summary>What is reported while many tenants are migrated: after each tenant of this process, and every second.</summary>
public sealed record MigrationProgress
{
    /// <summary>The run, over all processes that work at it.</summary>
    public required MigrationRun Run { get; init; }

    /// <summary>The tenant that this process has just done, or found up to date; null where only the run is reported.</summary>
    public TenantMigrationResult? Tenant { get; init; }
}
