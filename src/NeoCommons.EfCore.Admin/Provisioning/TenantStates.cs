using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Suspends, resumes, renames, archives and restores tenants.</summary>
internal sealed class TenantStates(
    LifecycleRun run,
    TenantPlaces places,
    TenantReservation reservation,
    TenantAudit audit,
    IOptions<SchemaNaming> naming,
    IOptions<TenantLifecycleOptions> options,
    TimeProvider time
)
{
    public Task<Tenant> SuspendAsync(TenantId id, string? reason, CancellationToken ct) =>
        SetStatusAsync(id, TenantLifecycleAction.Suspend, TenantStatus.Suspended, TenantAudit.Suspended, reason, ct);

    public Task<Tenant> ResumeAsync(TenantId id, CancellationToken ct) =>
        SetStatusAsync(id, TenantLifecycleAction.Resume, TenantStatus.Active, TenantAudit.Resumed, null, ct);

    public Task<Tenant> RenameAsync(TenantId id, TenantRename rename, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(rename);
        if (rename.Name is not null)
        {
            TenantReservation.ThrowIfInvalidName(rename.Name);
        }

        if (rename.Slug is not null)
        {
            // Refuses also what would make a schema that is not a tenant's.
            naming.Value.ForTenant(rename.Slug);
        }

        return run.ChangeAsync(
            id,
            TenantLifecycleAction.Rename,
            null,
            // Where the schema is to follow, only its database knows whether it does.
            row =>
                !rename.RenameSchema
                && (rename.Slug ?? row.Slug) == row.Slug
                && (rename.Name ?? row.Name) == row.Name
                && row.Status is TenantStatus.Active or TenantStatus.Suspended,
            found => MoveAsync(found, new Move(TenantLifecycleAction.Rename, "renamed", rename), ct),
            ct
        );
    }

    public Task<Tenant> ArchiveAsync(TenantId id, TimeSpan? retention, string? reason, CancellationToken ct)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(retention ?? TimeSpan.Zero, TimeSpan.Zero, nameof(retention));
        var move = new Move(TenantLifecycleAction.Archive, TenantAudit.Archived, null, reason, retention);
        return run.ChangeAsync(
            id,
            move.Action,
            reason,
            row => TenantTransition.IsDone(move.Action, row.Status),
            found => MoveAsync(found, move, ct),
            ct
        );
    }

    public Task<Tenant> RestoreAsync(TenantId id, CancellationToken ct)
    {
        var move = new Move(TenantLifecycleAction.Restore, TenantAudit.Restored, null);
        return run.ChangeAsync(
            id,
            move.Action,
            null,
            row => TenantTransition.IsDone(move.Action, row.Status),
            found => MoveAsync(found, move, ct),
            ct
        );
    }

    /// <summary>The name that an archived tenant's schema has, at most 62 characters of ASCII.</summary>
    internal static SchemaName ArchiveNameOf(string slug, Guid id) =>
        SchemaName.Parse($"archived_{slug}_{id.ToString("N")[^12..]}");

    internal static TenantConflictException SlugTaken(string slug, Exception? e = null) =>
        new(slug, $"Slug '{slug}' is taken. Nothing was changed. Choose another slug.", e);

    /// <summary>What the tenant would be after its restoration; changes nothing.</summary>
    internal static async Task<(TenantStatus Status, SchemaName? Schema)> ForeseeRestorationAsync(
        AdminDbContext context,
        string slug,
        Guid id,
        CancellationToken ct
    )
    {
        if (await TenantAudit.IsDeletingAsync(context, id, ct).ConfigureAwait(false))
        {
            throw new TenantStateException(
                slug,
                TenantStatus.Archived,
                $"The deletion of tenant '{slug}' has begun, and tables of it are gone: it cannot be restored. Delete it "
                    + "again to finish, or create a tenant from its export."
            );
        }

        var (schema, status) = await TenantAudit.ReadArchivalAsync(context, id, ct).ConfigureAwait(false);
        return (status, schema is null ? null : SchemaName.Parse(schema));
    }

    /// <summary>Refuses what a change would refuse that gives the tenant's schema this name; changes nothing.</summary>
    internal async Task CheckAsync(Tenant tenant, SchemaName target, CancellationToken ct)
    {
        using var apart = AmbientTransaction.Suppress();
        var place = await places.OpenAsync(tenant.ConnectionName, ct).ConfigureAwait(false);
        await using var _ = place.ConfigureAwait(false);
        await SchemaMark
            .FindToRenameAsync(place.Schema, tenant.Schema, target, tenant.Slug, tenant.Id.Value, ct)
            .ConfigureAwait(false);
    }

    private Task<Tenant> SetStatusAsync(
        TenantId id,
        TenantLifecycleAction action,
        TenantStatus status,
        string word,
        string? reason,
        CancellationToken ct
    )
    {
        return run.ChangeAsync(
            id,
            action,
            reason,
            row => TenantTransition.IsDone(action, row.Status),
            async _ =>
            {
                // No lock of the schema: who must be stopped must not first finish a migration.
                var place = await places.OpenRegistryAsync(ct).ConfigureAwait(false);
                await using var __ = place.ConfigureAwait(false);
                await place.BeginAsync(null, ct).ConfigureAwait(false);
                var row = await place.LockRowAsync(id, ct).ConfigureAwait(false);
                if (TenantTransition.IsDone(action, row.Status))
                {
                    return (TenantReservation.Map(row), false);
                }

                TenantTransition.ThrowIfRefused(action, row);
                row.Status = status;
                audit.Note(place.Context, row, word, ("reason", reason));
                await place.Context.SaveChangesAsync(ct).ConfigureAwait(false);
                await place.CommitAsync(ct).ConfigureAwait(false);
                return (TenantReservation.Map(row), true);
            },
            ct
        );
    }

    /// <summary>A change that may give the schema another name.</summary>
    private async Task<(Tenant After, bool IsChanged)> MoveAsync(TenantEntity found, Move move, CancellationToken ct)
    {
        var place = await places.OpenAsync(found.Connection!.ConnectionName, ct).ConfigureAwait(false);
        await using var _ = place.ConfigureAwait(false);
        var target = await ChooseSchemaAsync(place.Context, found, move, ct).ConfigureAwait(false);
        foreach (var slug in new[] { found.Slug, move.Rename?.Slug ?? found.Slug }.Distinct().Order())
        {
            await reservation.LockSlugAsync(place.Session, slug, ct).ConfigureAwait(false);
        }

        var from = SchemaName.Parse(found.SchemaName);
        await place.BeginAsync(schema => places.LockSchemasAsync(schema, [from, target], ct), ct).ConfigureAwait(false);
        var row = await place.LockRowAsync(new TenantId(found.Id), ct).ConfigureAwait(false);
        if (move.Action != TenantLifecycleAction.Rename && TenantTransition.IsDone(move.Action, row.Status))
        {
            return (TenantReservation.Map(row), false);
        }

        TenantTransition.ThrowIfRefused(move.Action, row);
        if ((row.Slug, row.SchemaName, row.ConnectionId) != (found.Slug, found.SchemaName, found.ConnectionId))
        {
            throw new TenantStateException(
                row.Slug,
                row.Status,
                $"Tenant '{found.Slug}' was changed by somebody else meanwhile: it is '{row.Slug}' in schema "
                    + $"'{row.SchemaName}'. Nothing was changed. Repeat the command if it is still wanted."
            );
        }

        await ApplyAsync(place.Context, row, move, target, ct).ConfigureAwait(false);
        await SaveAsync(place.Context, row, ct).ConfigureAwait(false);
        if (move.Rename is null or { RenameSchema: true })
        {
            await SchemaMark.RenameAsync(place.Schema, from, target, row, ct).ConfigureAwait(false);
        }

        await place.CommitAsync(ct).ConfigureAwait(false);
        return (TenantReservation.Map(row), true);
    }

    private async Task<SchemaName> ChooseSchemaAsync(
        AdminDbContext context,
        TenantEntity row,
        Move move,
        CancellationToken ct
    )
    {
        if (move.Action == TenantLifecycleAction.Archive)
        {
            return ArchiveNameOf(row.Slug, row.Id);
        }

        if (move.Rename is { RenameSchema: false })
        {
            return SchemaName.Parse(row.SchemaName);
        }

        var former =
            move.Action == TenantLifecycleAction.Restore
                ? (await TenantAudit.ReadArchivalAsync(context, row.Id, ct).ConfigureAwait(false)).Schema
                : null;
        return former is not null
            ? SchemaName.Parse(former)
            : await TenantAudit
                .ChooseSchemaAsync(context, naming.Value, move.Rename?.Slug ?? row.Slug, row.Id, ct)
                .ConfigureAwait(false);
    }

    private async Task ApplyAsync(
        AdminDbContext context,
        TenantEntity row,
        Move move,
        SchemaName target,
        CancellationToken ct
    )
    {
        var (slug, name, schema, status) = (row.Slug, row.Name, row.SchemaName, row.Status);
        switch (move.Action)
        {
            case TenantLifecycleAction.Archive:
                var now = time.GetUtcNow();
                row.Status = TenantStatus.Archived;
                row.ArchivedAt = now;
                row.RetainedUntil = now + (move.Retention ?? options.Value.Retention);
                break;
            case TenantLifecycleAction.Restore:
                (row.Status, _) = await ForeseeRestorationAsync(context, slug, row.Id, ct).ConfigureAwait(false);
                (row.ArchivedAt, row.RetainedUntil) = (null, null);
                break;
            default:
                row.Slug = move.Rename!.Slug ?? slug;
                row.Name = move.Rename.Name ?? name;
                break;
        }

        row.SchemaName = target.Value;
        audit.Note(
            context,
            row,
            move.Word,
            ("reason", move.Reason),
            ("formerSlug", row.Slug == slug ? null : slug),
            ("formerName", row.Name == name ? null : name),
            TenantAudit.Was(schema, row.SchemaName),
            row.Status == status ? default : TenantAudit.Was(status)
        );
    }

    private static async Task SaveAsync(AdminDbContext context, TenantEntity row, CancellationToken ct)
    {
        try
        {
            await context.SaveChangesAsync(ct).ConfigureAwait(false);
        }
        catch (DbUpdateException e)
            when (e.InnerException is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation } p)
        {
            throw p.ConstraintName == TenantMapping.SlugIndex
                ? SlugTaken(row.Slug, e)
                : new TenantConflictException(
                    row.Slug,
                    $"Schema '{row.SchemaName}' is another tenant's. Nothing was changed. Choose another slug.",
                    e
                );
        }
    }

    private sealed record Move(
        TenantLifecycleAction Action,
        string Word,
        TenantRename? Rename,
        string? Reason = null,
        TimeSpan? Retention = null
    );
}
