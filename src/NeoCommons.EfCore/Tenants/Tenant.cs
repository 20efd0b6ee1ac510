namespace NeoCommons.EfCore;

/// <summary>A tenant: who it is and where its data lives.</summary>
/// <remarks>An immutable snapshot of one row; a store hands out a new one when the row has changed.</remarks>
public sealed record Tenant
{
    /// <summary>The id, which never changes.</summary>
    public required TenantId Id { get; init; }

    /// <summary>The short name in addresses and headers: see <see cref="TenantSlug"/>.</summary>
    public required string Slug { get; init; }

    /// <summary>The name for people.</summary>
    public required string Name { get; init; }

    /// <summary>The schema that holds the tenant's tables, and nobody else's.</summary>
    public required SchemaName Schema { get; init; }

    /// <summary>The name of the database connection that holds the schema.</summary>
    public required string ConnectionName { get; init; }

    /// <summary>Where the tenant stands in its life; default <see cref="TenantStatus.Active"/>.</summary>
    public TenantStatus Status { get; init; } = TenantStatus.Active;

    /// <summary>The region of the tenant, or null where regions are not used.</summary>
    public string? RegionId { get; init; }

    /// <summary>The id of the last migration applied to the tenant's schema, or null where that is not known.</summary>
    public string? SchemaVersion { get; init; }

    /// <summary>The kind of tenant, which decides which contexts it has; null: those that are for every tenant.</summary>
    public string? TenantType { get; init; }

    /// <summary>What the tenant may take of what it shares with others; default: nothing of its own is said.</summary>
    public TenantLimits Limits { get; init; } = TenantLimits.None;

    /// <summary>Until when the tenant's schema is being migrated, as far as is known; null or past: it is not.</summary>
    public DateTimeOffset? MigratingUntil { get; init; }
}
