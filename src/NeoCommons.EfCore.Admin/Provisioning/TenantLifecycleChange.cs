namespace NeoCommons.EfCore.Admin;

/// <summary>A change of a tenant, as an <see cref="ITenantLifecycleHandler"/> sees it.</summary>
public sealed record TenantLifecycleChange
{
    /// <summary>What is done.</summary>
    public required TenantLifecycleAction Action { get; init; }

    /// <summary>
    /// The tenant: as it is now before the change, as it is then after it. Before its creation, as it is going to be, and
    /// <see cref="TenantStatus.Provisioning"/>; after its deletion, as it was.
    /// </summary>
    public required Tenant Tenant { get; init; }

    /// <summary>Who does it: <see cref="ILifecycleActor.Name"/>.</summary>
    public required string Actor { get; init; }

    /// <summary>Why, where that was said.</summary>
    public string? Reason { get; init; }
}
