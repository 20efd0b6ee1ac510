namespace NeoCommons.EfCore.Admin;

/// <summary>One tenant in a plan.</summary>
public sealed record PlannedTenant
{
    /// <summary>The tenant.</summary>
    public required TenantId TenantId { get; init; }

    /// <summary>Its slug.</summary>
    public required string Slug { get; init; }

    /// <summary>The connection that leads to its schema.</summary>
    public required string ConnectionName { get; init; }

    /// <summary>What would be done.</summary>
    public required PlannedTenantState State { get; init; }

    /// <summary>The last migration that its schema has; null: none, or it is not known.</summary>
    public string? Version { get; init; }

    /// <summary>How many migrations it lacks.</summary>
    public int PendingMigrations { get; init; }

    internal string? RegisteredVersion { get; init; }

    /// <summary>Why its state is not known; else null.</summary>
    public Exception? Error { get; init; }
}
