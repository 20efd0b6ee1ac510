using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>Deletes archived tenants: schema, role, row. What was interrupted goes on when it is repeated.</summary>
internal sealed class TenantRemoval(
    LifecycleRun run,
    TenantPlaces places,
    TenantReservation reservation,
    TenantAudit audit,
    SchemaExport export,
    IOptions<ConnectionOptions> connections,
    IOptions<TenantLifecycleOptions> options,
    TimeProvider time,
    ILogger<TenantRemoval> log
)
{
    public Task DeleteAsync(TenantId id, TenantDeletion deletion, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(deletion);
        return run.ChangeAsync(
            id,
            TenantLifecycleAction.Delete,
            deletion.Reason,
            row =>
            {
                ThrowIfRefused(row, deletion);
                return false;
            },
            async found => (await DeleteAsync(found, deletion, ct).ConfigureAwait(false), true),
            ct
        );
    }

    /// <summary>Refuses what a deletion would refuse; changes nothing.</summary>
    /// <returns>Until when the tenant is to be kept.</returns>
    public async Task<DateTimeOffset?> CheckAsync(TenantId id, TenantDeletion deletion, CancellationToken ct)
    {
        using var apart = AmbientTransaction.Suppress();
        var found = await run.FindAsync(id, ct).ConfigureAwait(false);
        ThrowIfRefused(found, deletion);
        var place = await places.OpenAsync(found.Connection!.ConnectionName, ct).ConfigureAwait(false);
        await using var _ = place.ConfigureAwait(false);
        var schema = await SchemaMark
            .FindAsync(place.Schema, SchemaName.Parse(found.SchemaName), found.Id, ct)
            .ConfigureAwait(false);
        if (deletion.ExportTo is { } file)
        {
            await ThrowIfGoneAsync(place, found, schema, ct).ConfigureAwait(false);
            SchemaExport.ThrowIfRefused(place.Row!, schema!, file);
        }

        await (DropOf(place, id, schema, deletion)?.ThrowIfDependedOnAsync(ct) ?? Task.CompletedTask).ConfigureAwait(
            false
        );
        return found.RetainedUntil;
    }

    private async Task<Tenant> DeleteAsync(TenantEntity found, TenantDeletion deletion, CancellationToken ct)
    {
        var id = new TenantId(found.Id);
        var place = await places.OpenAsync(found.Connection!.ConnectionName, ct).ConfigureAwait(false);
        await using var _ = place.ConfigureAwait(false);

        // Held until the end: nobody renames or restores what is being deleted.
        await reservation.LockSlugAsync(place.Session, found.Slug, ct).ConfigureAwait(false);
        var schema = await SchemaMark
            .FindAsync(place.Schema, SchemaName.Parse(found.SchemaName), found.Id, ct)
            .ConfigureAwait(false);
        if (deletion.ExportTo is { } file)
        {
            await ThrowIfGoneAsync(place, found, schema, ct).ConfigureAwait(false);
            await export.WriteAsync(place.Row!, place.Schema, schema!, file, ct).ConfigureAwait(false);
        }

        var drop = DropOf(place, id, schema, deletion);
        await (drop?.ThrowIfDependedOnAsync(ct) ?? Task.CompletedTask).ConfigureAwait(false);
        await place.BeginAsync(null, ct).ConfigureAwait(false);
        var row = await place.LockRowAsync(id, ct).ConfigureAwait(false);
        ThrowIfRefused(row, deletion);
        if (!await TenantAudit.IsDeletingAsync(place.Context, found.Id, ct).ConfigureAwait(false))
        {
            audit.Note(place.Context, row, TenantAudit.Deleting, ("reason", deletion.Reason));
            await place.Context.SaveChangesAsync(ct).ConfigureAwait(false);
        }

        await place.CommitAsync(ct).ConfigureAwait(false);
        await (drop?.DropRelationsAsync(ct) ?? Task.CompletedTask).ConfigureAwait(false);
        return await FinishAsync(place, id, drop, deletion, ct).ConfigureAwait(false);
    }

    private async Task<Tenant> FinishAsync(
        TenantPlace place,
        TenantId id,
        SchemaDrop? drop,
        TenantDeletion deletion,
        CancellationToken ct
    )
    {
        await place.BeginAsync(_ => drop?.LockAsync(ct) ?? Task.CompletedTask, ct).ConfigureAwait(false);
        var row = await place.LockRowAsync(id, ct).ConfigureAwait(false);
        ThrowIfRefused(row, deletion);
        var deleted = TenantReservation.Map(row);
        audit.Note(
            place.Context,
            row,
            TenantAudit.Deleted,
            ("reason", deletion.Reason),
            ("export", deletion.ExportTo),
            ("forced", deletion.Force ? "true" : null)
        );
        place.Context.Tenants.Remove(row);
        await place.Context.SaveChangesAsync(ct).ConfigureAwait(false);
        await (drop?.DropAsync(ct) ?? Task.CompletedTask).ConfigureAwait(false);

        var failure = connections.Value.TenantRoles
            ? await SchemaDrop.TryDropRoleAsync(place.Schema, id, ct).ConfigureAwait(false)
            : null;
        await place.CommitAsync(ct).ConfigureAwait(false);
        if (failure is not null)
        {
            LifecycleLogMessages.RoleNotDropped(log, failure, deleted.Slug, TenantRole.Of(id));
        }

        return deleted;
    }

    private SchemaDrop? DropOf(TenantPlace place, TenantId id, SchemaName? schema, TenantDeletion deletion) =>
        schema is null
            ? null
            : new SchemaDrop(
                place.Schema,
                schema,
                id,
                options.Value.DropBatch,
                places,
                withDependants: deletion.DropDependants
            );

    private static async Task ThrowIfGoneAsync(
        TenantPlace place,
        TenantEntity row,
        SchemaName? schema,
        CancellationToken ct
    )
    {
        if (schema is null || await TenantAudit.IsDeletingAsync(place.Context, row.Id, ct).ConfigureAwait(false))
        {
            throw new TenantStateException(
                row.Slug,
                row.Status,
                $"Tenant '{row.Slug}' cannot be exported: its deletion has begun, or its schema '{row.SchemaName}' is gone. "
                    + "Delete it without an export to finish."
            );
        }
    }

    private void ThrowIfRefused(TenantEntity row, TenantDeletion deletion)
    {
        if (!string.Equals(row.Slug, deletion.ConfirmSlug, StringComparison.Ordinal))
        {
            throw new ArgumentException(
                $"Tenant {row.Id} has the slug '{row.Slug}', and '{deletion.ConfirmSlug}' was confirmed. Nothing was deleted.",
                nameof(deletion)
            );
        }

        TenantTransition.ThrowIfRefused(TenantLifecycleAction.Delete, row);
        if (!deletion.Force && row.RetainedUntil is { } until && until > time.GetUtcNow())
        {
            throw new TenantStateException(
                row.Slug,
                row.Status,
                $"Tenant '{row.Slug}' is archived and kept until {until:O}. Nothing was deleted. Wait, or delete it "
                    + "all the same with --force (TenantDeletion.Force)."
            );
        }
    }
}
