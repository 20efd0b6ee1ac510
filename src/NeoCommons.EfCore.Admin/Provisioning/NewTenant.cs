namespace NeoCommons.EfCore.Admin;

/// <summary>A tenant to be created.</summary>
public sealed record NewTenant
{
    /// <summary>The slug: see <see cref="TenantSlug"/>. It makes the schema's name, by <see cref="SchemaNaming"/>.</summary>
    public required string Slug { get; init; }

    /// <summary>The name for people, 1 to 200 characters.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// The registered connection that the tenant's schema is to lie behind. <value>Default: null, which
    /// <see cref="ITenantPlacement"/> chooses.</value>
    /// </summary>
    public string? ConnectionName { get; init; }

    /// <summary>The id. <value>Default: null, a new one.</value></summary>
    public TenantId? Id { get; init; }

    /// <summary>
    /// The region. Where no connection is named, one of this region is chosen. <value>Default: null, that of the
    /// connection.</value>
    /// </summary>
    public string? RegionId { get; init; }

    /// <summary>
    /// The type, 1 to 50 characters, which decides which contexts the tenant has (<c>ForTenantTypes</c>).
    /// <value>Default: null, none.</value>
    /// </summary>
    public string? TenantType { get; init; }

    /// <summary>What the schema is made from. <value>Default: <see cref="TenantSource.Migrations"/>.</value></summary>
    public TenantSource Source { get; init; }

    /// <summary>
    /// Whether the rows of the template are copied too; those of the migrations histories always are. <value>Default:
    /// false.</value>
    /// </summary>
    public bool CopyRows { get; init; }
}
