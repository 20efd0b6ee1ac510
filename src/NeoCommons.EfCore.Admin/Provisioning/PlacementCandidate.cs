namespace NeoCommons.EfCore.Admin;

/// <summary>A connection that has room for a tenant.</summary>
public sealed record PlacementCandidate
{
    /// <summary>The connection.</summary>
    public required string ConnectionName { get; init; }

    /// <summary>Its region, or null.</summary>
    public string? RegionId { get; init; }

    /// <summary>How many tenants it has, archived ones too.</summary>
    public required int Tenants { get; init; }

    /// <summary>How many it takes.</summary>
    public required int MaxTenants { get; init; }
}
