namespace NeoCommons.EfCore.Admin;

/// <summary>Which ring each tenant is in.</summary>
internal static class RingOrder
{
    public static IReadOnlyList<QueuedTenant> Of(
        IReadOnlyCollection<PlannedTenant> tenants,
        IReadOnlyList<MigrationRing> rings
    )
    {
        // By the id's last bytes, which are random: the same tenants come first each time, whatever their age or name.
        var left = tenants.OrderBy(t => BitConverter.ToUInt64(t.TenantId.Value.ToByteArray(), 8)).ToList();
        var queued = new List<QueuedTenant>(left.Count);
        for (var ring = 0; ring < rings.Count; ring++)
        {
            var share = (int)Math.Ceiling(rings[ring].Share * tenants.Count) - queued.Count;
            var here = rings[ring].Slugs is { Count: > 0 } slugs
                ? left.Where(t => slugs.Contains(t.Slug)).ToList()
                : left.Take(Math.Max(0, share)).ToList();
            Take(here, ring);
            left = [.. left.Except(here)];
        }

        Take(left, rings.Count);
        return queued;

        void Take(IEnumerable<PlannedTenant> those, int ring) =>
            queued.AddRange(those.Select(t => new QueuedTenant(t.TenantId, t.Version, ring, Registered(t))));
    }

    // The plan has written what is newer, of those that lack nothing.
    private static string? Registered(PlannedTenant tenant) =>
        tenant.State is PlannedTenantState.UpToDate or PlannedTenantState.Ahead
        && string.CompareOrdinal(tenant.Version, tenant.RegisteredVersion) > 0
            ? tenant.Version
            : tenant.RegisteredVersion;
}
