namespace NeoCommons.EfCore.Admin;

internal sealed class LeastTenantsPlacement : ITenantPlacement
{
    public ValueTask<string?> ChooseAsync(
        NewTenant tenant,
        IReadOnlyList<PlacementCandidate> candidates,
        CancellationToken ct = default
    ) =>
        new(
            candidates
                .Where(c => tenant.RegionId is null || c.RegionId == tenant.RegionId)
                .MinBy(c => c.Tenants)
                ?.ConnectionName
        );
}
