using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.Admin;

/// <summary>What every change of a tenant has around it: the check, the handlers, the caches, the log.</summary>
internal sealed class LifecycleRun(
    IDbContextFactory<AdminDbContext> contexts,
    LifecycleHooks hooks,
    TenantAudit audit,
    AdminTenantStore tenants,
    ILogger<LifecycleRun> log
)
{
    /// <summary>Makes a change.</summary>
    /// <param name="id">The tenant.</param>
    /// <param name="action">What is done.</param>
    /// <param name="reason">Why.</param>
    /// <param name="isDone">Whether there is nothing to do.</param>
    /// <param name="work">
    /// Checks again under a lock, and does it, unless somebody else has meanwhile; gets the row as it was found.
    /// </param>
    /// <param name="ct">Cancels.</param>
    public async Task<Tenant> ChangeAsync(
        TenantId id,
        TenantLifecycleAction action,
        string? reason,
        Func<TenantEntity, bool> isDone,
        Func<TenantEntity, Task<(Tenant After, bool IsChanged)>> work,
        CancellationToken ct
    )
    {
        using var apart = AmbientTransaction.Suppress();
        var row = await FindAsync(id, ct).ConfigureAwait(false);
        var before = TenantReservation.Map(row);
        if (isDone(row))
        {
            return before;
        }

        TenantTransition.ThrowIfRefused(action, row);
        var change = new TenantLifecycleChange
        {
            Action = action,
            Tenant = before,
            Actor = audit.Actor,
            Reason = reason,
        };
        await hooks.BeforeAsync(change, ct).ConfigureAwait(false);
        Tenant after;
        bool isChanged;
        try
        {
            (after, isChanged) = await work(row).ConfigureAwait(false);
        }
        finally
        {
            // Also where it failed: the commit may have succeeded without its answer reaching us.
            tenants.Forget(id, [before.Slug]);
        }

        tenants.Forget(id, [after.Slug]);
        if (!isChanged)
        {
            return after;
        }

        LifecycleLogMessages.Changed(log, change.Actor, action, before.Slug);
        await hooks.AfterAsync(change with { Tenant = after }).ConfigureAwait(false);
        return after;
    }

    /// <exception cref="TenantNotFoundException">There is no such tenant.</exception>
    public async Task<TenantEntity> FindAsync(TenantId id, CancellationToken ct)
    {
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        return await context
                .Tenants.AsNoTracking()
                .Include(t => t.Connection)
                .SingleOrDefaultAsync(t => t.Id == id.Value, ct)
                .ConfigureAwait(false)
            ?? throw new TenantNotFoundException(id);
    }
}
