namespace NeoCommons.EfCore.Admin;

/// <summary>What came of migrating one tenant.</summary>
public sealed record TenantMigrationResult
{
    /// <summary>The tenant.</summary>
    public required TenantId TenantId { get; init; }

    /// <summary>The tenant's slug.</summary>
    public required string Slug { get; init; }

    /// <summary>The outcome.</summary>
    public required TenantMigrationStatus Status { get; init; }

    /// <summary>The last migration that was applied before, or null where there was none.</summary>
    public string? From { get; init; }

    /// <summary>The last migration that is applied now, or null where there is none; after a failure, what the registry says.</summary>
    public string? To { get; init; }

    /// <summary>The migrations that this run applied, in order.</summary>
    public IReadOnlyList<string> Applied { get; init; } = [];

    internal bool MayChangeTypes { get; init; }

    /// <summary>Whether it failed before the schema was ours, so that somebody else may be migrating it.</summary>
    internal bool HadNotBegun { get; init; }

    /// <summary>How long it took, waiting for the schema's lock included.</summary>
    public TimeSpan Duration { get; init; }

    /// <summary>Why it failed; null where it did not.</summary>
    public Exception? Error { get; init; }
}
