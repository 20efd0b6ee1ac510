namespace NeoCommons.EfCore;

/// <summary>No tenant has this id or slug.</summary>
public sealed class TenantNotFoundException : NeoCommonsException
{
    /// <summary>No tenant has this id.</summary>
    public TenantNotFoundException(TenantId id)
        : base($"There is no tenant with id {id}. Check the id, or create the tenant first.") => TenantId = id;

    /// <summary>No tenant has this slug.</summary>
    public TenantNotFoundException(string slug)
        : base(
            TenantSlug.IsValid(slug)
                ? $"There is no tenant with slug '{slug}'. Check the slug, or create the tenant first."
                : $"There is no tenant with the slug that was asked for, and there cannot be: {TenantSlug.Rule}."
        ) => Slug = slug;

    /// <summary>The id that was asked for, or null where a slug was.</summary>
    public TenantId? TenantId { get; }

    /// <summary>The slug that was asked for, or null where an id was.</summary>
    public string? Slug { get; }
}
