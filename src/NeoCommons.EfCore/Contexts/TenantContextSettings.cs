namespace NeoCommons.EfCore;

/// <summary>What a tenant context's options say about tenancy.</summary>
internal sealed record TenantContextSettings
{
    /// <summary>The schemas, besides the tenant's own, that a model may name.</summary>
    public IReadOnlyList<string> SharedSchemas { get; init; } = [];

    /// <summary>The types of tenants that have the context; none: all tenants.</summary>
    public IReadOnlyList<string> TenantTypes { get; init; } = [];

    /// <summary>How the context reaches its tenant's schema.</summary>
    public SchemaBinding Binding { get; init; }

    /// <summary>Whether a context may save what another tenant's context has read.</summary>
    public bool AllowsEntitiesOfOtherTenants { get; init; }

    /// <summary>What becomes of a context whose tenant's schema is older than its model.</summary>
    public SchemaBehind WhenBehind { get; init; }

    /// <summary>How long a context waits for its tenant's migration.</summary>
    public TimeSpan WaitForMigration { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How many models of tenants are kept; 0 where all tenants have one.</summary>
    public int CachedModels { get; init; }

    /// <summary>The context, where each tenant has a model: no other may take the place of its models and queries.</summary>
    public Type? ModelsOf { get; init; }

    public bool HasModelPerSchema => CachedModels > 0;

    /// <summary>What models and compiled queries are made of: contexts that agree in it share EF's services.</summary>
    public (SchemaBinding, int, Type?) Models => (Binding, CachedModels, ModelsOf);

    /// <summary>Whether tenants of this type have the context.</summary>
    public bool IsFor(string? tenantType) =>
        TenantTypes.Count == 0 || (tenantType is not null && TenantTypes.Contains(tenantType, StringComparer.Ordinal));

    public bool Equals(TenantContextSettings? other) =>
        ReferenceEquals(this, other)
        || other is not null
            && Models == other.Models
            && AllowsEntitiesOfOtherTenants == other.AllowsEntitiesOfOtherTenants
            && SharedSchemas.SequenceEqual(other.SharedSchemas, StringComparer.Ordinal)
            && TenantTypes.SequenceEqual(other.TenantTypes, StringComparer.Ordinal);

    public override int GetHashCode() => SharedSchemas.Aggregate(Models.GetHashCode(), HashCode.Combine);
}
