namespace NeoCommons.EfCore.Admin;

/// <summary>The confirmation that an archived tenant is to be deleted for good.</summary>
public sealed record TenantDeletion
{
    /// <summary>The tenant's slug, once more: who mistakes an id deletes nothing.</summary>
    public required string ConfirmSlug { get; init; }

    /// <summary>Whether it is deleted although its retention time has not passed. <value>Default: false.</value></summary>
    public bool Force { get; init; }

    /// <summary>
    /// Whether objects of other schemas that depend on the tenant's, a view of a report for one, are dropped with it.
    /// <value>Default: false, which refuses the deletion and names them.</value>
    /// </summary>
    public bool DropDependants { get; init; }

    /// <summary>
    /// A file, which does not exist yet, that <c>pg_dump</c> writes the schema to before anything is dropped, in its custom
    /// format. <value>Default: null, no export.</value>
    /// </summary>
    public string? ExportTo { get; init; }

    /// <summary>Why, for the audit. <value>Default: null.</value></summary>
    public string? Reason { get; init; }
}
