namespace NeoCommons.EfCore;

/// <summary>What a tenant context's options say about tenancy.</summary>
internal sealed record TenantContextSettings
{
    /// <summary>The schemas, besides the tenant's own, that a model may name.</summary>
    public IReadOnlyList<string> SharedSchemas { get; init; } = [];

    /// <summary>How the context reaches its tenant's schema.</summary>
    public SchemaBinding Binding { get; init; }

    /// <summary>Whether a context may save what another tenant's context has read.</summary>
    public bool AllowsEntitiesOfOtherTenants { get; init; }

    /// <summary>Whether interceptors of the application see the connection: what they do to it is not known.</summary>
    public bool HasInterceptors { get; init; }

    public bool Equals(TenantContextSettings? other) =>
        other is not null
        && Binding == other.Binding
        && AllowsEntitiesOfOtherTenants == other.AllowsEntitiesOfOtherTenants
        && HasInterceptors == other.HasInterceptors
        && SharedSchemas.SequenceEqual(other.SharedSchemas, StringComparer.Ordinal);

    public override int GetHashCode() =>
        SharedSchemas.Aggregate((int)Binding, (hash, schema) => HashCode.Combine(hash, schema));
}
