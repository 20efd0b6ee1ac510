namespace NeoCommons.EfCore;

/// <summary>What a schema is for.</summary>
public enum SchemaKind
{
    /// <summary>The registry of connections and tenants.</summary>
    Admin,

    /// <summary>Data that all tenants of a database share.</summary>
    Shared,

    /// <summary>The pattern that new tenants can be copied from.</summary>
    Template,

    /// <summary>One tenant's data.</summary>
    Tenant,
}
