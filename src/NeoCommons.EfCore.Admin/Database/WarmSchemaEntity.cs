namespace NeoCommons.EfCore.Admin;

/// <summary>A row of <c>admin.warm_schemas</c>: a schema that is migrated already and waits for a tenant.</summary>
public class WarmSchemaEntity
{
    /// <summary>The key.</summary>
    public Guid Id { get; set; }

    /// <summary>The connection that leads to the schema.</summary>
    public Guid ConnectionId { get; set; }

    /// <summary>The connection that leads to the schema.</summary>
    public DatabaseConnectionEntity? Connection { get; set; }

    /// <summary>The kind of tenant that it is made for, or null.</summary>
    public string? TenantType { get; set; }

    /// <summary>The schema.</summary>
    public required string SchemaName { get; set; }

    /// <summary>The last migration applied; null while the schema is being made.</summary>
    public string? SchemaVersion { get; set; }

    /// <summary>When the row was made. Set by the database.</summary>
    public DateTimeOffset CreatedAt { get; private set; }
}
