namespace NeoCommons.EfCore.Admin;

/// <summary>Changes what a tenant may take.</summary>
internal sealed class TenantLimiting(LifecycleRun run, TenantPlaces places, TenantAudit audit)
{
    public Task<Tenant> SetAsync(TenantId id, TenantLimits limits, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(limits);
        ThrowIfInvalid(limits);
        return run.ChangeAsync(
            id,
            TenantLifecycleAction.Limit,
            null,
            row => TenantLimitsText.Parse(row.Limits) == limits,
            async _ =>
            {
                // No lock of the schema: a tenant that takes too much must not first finish a migration.
                var place = await places.OpenRegistryAsync(ct).ConfigureAwait(false);
                await using var __ = place.ConfigureAwait(false);
                await place.BeginAsync(null, ct).ConfigureAwait(false);
                var row = await place.LockRowAsync(id, ct).ConfigureAwait(false);
                TenantTransition.ThrowIfRefused(TenantLifecycleAction.Limit, row);
                var before = row.Limits;
                row.Limits = TenantLimitsText.Write(before, limits);
                audit.Note(place.Context, row, TenantAudit.Limited, ("formerLimits", before), ("limits", row.Limits));
                await place.Context.SaveChangesAsync(ct).ConfigureAwait(false);
                await place.CommitAsync(ct).ConfigureAwait(false);
                return (TenantReservation.Map(row), true);
            },
            ct
        );
    }

    /// <exception cref="ArgumentException">A limit is out of its range.</exception>
    public static void ThrowIfInvalid(TenantLimits limits)
    {
        if (string.Join(" ", limits.FindFaults()) is { Length: > 0 } faults)
        {
            throw new ArgumentException(faults, nameof(limits));
        }
    }
}
