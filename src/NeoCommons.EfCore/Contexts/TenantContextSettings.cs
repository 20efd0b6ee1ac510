namespace NeoCommons.EfCore;

/// <summary>What a tenant context's options say about tenancy.</summary>
internal sealed record TenantContextSettings
{
    /// <summary>The schemas, besides the tenant's own, that a model may name.</summary>
    public IReadOnlyList<string> SharedSchemas { get; init; } = [];

    public bool Equals(TenantContextSettings? other) =>
        other is not null && SharedSchemas.SequenceEqual(other.SharedSchemas, StringComparer.Ordinal);

    public override int GetHashCode() => SharedSchemas.Aggregate(0, (hash, schema) => HashCode.Combine(hash, schema));
}
