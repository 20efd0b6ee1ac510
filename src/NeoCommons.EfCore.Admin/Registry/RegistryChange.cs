namespace NeoCommons.EfCore.Admin;

/// <summary>A row of <c>admin.registry_changes</c>.</summary>
/// <param name="Transaction">The transaction that made the change.</param>
/// <param name="Kind">What was changed.</param>
/// <param name="Tenant">Which tenant; null where it is none, or all of them.</param>
/// <param name="Slugs">The slugs that it had and has.</param>
internal sealed record RegistryChange(
    long Transaction,
    RegistryChangeKind Kind,
    TenantId? Tenant,
    IReadOnlyList<string> Slugs
);
