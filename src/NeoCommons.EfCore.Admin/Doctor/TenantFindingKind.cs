namespace NeoCommons.EfCore.Admin;

/// <summary>What is not as it should be.</summary>
public enum TenantFindingKind
{
    /// <summary>A database cannot be used, so nothing is known of its tenants.</summary>
    Unreachable,

    /// <summary>A schema is a tenant's by its mark or its name, and no tenant of the registry has it.</summary>
    OrphanSchema,

    /// <summary>A tenant has no schema.</summary>
    MissingSchema,

    /// <summary>The creation of a tenant was interrupted.</summary>
    HalfMade,

    /// <summary>The deletion of a tenant was interrupted.</summary>
    HalfDeleted,

    /// <summary>A tenant lacks migrations.</summary>
    Behind,

    /// <summary>A schema, or something in it, belongs to a role that the connection's user is not a member of.</summary>
    WrongOwner,

    /// <summary>A schema holds something else than the migrations make: a table, a column, an index, an invalid index.</summary>
    Drift,
}
