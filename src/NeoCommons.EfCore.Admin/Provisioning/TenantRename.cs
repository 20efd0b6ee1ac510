namespace NeoCommons.EfCore.Admin;

/// <summary>What a tenant is to be called; what is null stays.</summary>
public sealed record TenantRename
{
    /// <summary>The new slug: see <see cref="TenantSlug"/>.</summary>
    public string? Slug { get; init; }

    /// <summary>The new name for people, 1 to 200 characters.</summary>
    public string? Name { get; init; }

    /// <summary>
    /// Whether the schema is renamed too, to what <see cref="SchemaNaming"/> makes of the slug. <value>Default: false.</value>
    /// Contexts that are open meanwhile find no tables any more.
    /// </summary>
    public bool RenameSchema { get; init; }
}
