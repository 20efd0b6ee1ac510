namespace NeoCommons.EfCore.Admin;

/// <summary>A row of <c>admin.tenants</c>.</summary>
public class TenantEntity
{
    /// <summary>The key. <value>Default: made by the database.</value></summary>
    public Guid Id { get; set; }

    /// <summary>The unique slug: see <see cref="TenantSlug"/>.</summary>
    public required string Slug { get; set; }

    /// <summary>The name for people, 1 to 200 characters.</summary>
    public required string Name { get; set; }

    /// <summary>The schema; unique in its database. The rule of <see cref="SchemaName"/> is a check constraint too.</summary>
    public required string SchemaName { get; set; }

    /// <summary>The connection that leads to the schema.</summary>
    public Guid ConnectionId { get; set; }

    /// <summary>The connection that leads to the schema.</summary>
    public DatabaseConnectionEntity? Connection { get; set; }

    /// <summary>Where the tenant stands in its life, in lower case in the column.</summary>
    public TenantStatus Status { get; set; } = TenantStatus.Active;

    /// <summary>The region, or null.</summary>
    public string? RegionId { get; set; }

    /// <summary>
    /// The tenant's <see cref="TenantLimits"/>, a JSON object: <c>max_connections</c>, <c>max_waiting</c>,
    /// <c>statement_timeout_ms</c>, <c>commands_per_second</c>. What is not there is the application's default; other keys are
    /// nobody's business here.
    /// </summary>
    public string Limits { get; set; } = "{}";

    /// <summary>The id of the last migration applied to the schema, or null where that is not known.</summary>
    public string? SchemaVersion { get; set; }

    /// <summary>The kind of tenant, which decides which contexts it has; null: those that are for every tenant.</summary>
    public string? TenantType { get; set; }

    /// <summary>Until when the schema is being migrated, unless its runner says otherwise; null or past: it is not.</summary>
    public DateTimeOffset? MigratingUntil { get; set; }

    /// <summary>When the tenant was archived, or null.</summary>
    public DateTimeOffset? ArchivedAt { get; set; }

    /// <summary>From when on an archived tenant may be deleted, or null.</summary>
    public DateTimeOffset? RetainedUntil { get; set; }

    /// <summary>When the row was made. Set by the database.</summary>
    public DateTimeOffset CreatedAt { get; private set; }

    /// <summary>When the row was changed last. Set by the database.</summary>
    public DateTimeOffset UpdatedAt { get; private set; }
}
