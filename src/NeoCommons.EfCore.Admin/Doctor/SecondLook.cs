using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Tells what is wrong from what is only under way: whether somebody is at a tenant, or was since it was read.</summary>
/// <remarks>
/// Whoever creates or changes a tenant holds the lock on its slug until the row is written, and whoever migrates it the
/// lock on its schema: a dead process has neither, however young or old the row is. The locks are looked at first, and
/// the row then: who let go of a lock before that has written the row before that.
/// </remarks>
internal sealed class SecondLook(AdminDatabase database, IDbContextFactory<AdminDbContext> contexts)
{
    private static readonly string IsBusy = $"""
        SELECT {AdvisoryLock.IsHeld("hashtextextended($2, 0)")}
            OR EXISTS (SELECT FROM admin.tenant_migrations q JOIN admin.migration_runs r ON r.id = q.run_id
                WHERE q.tenant_id = $1 AND r.status = 'running' AND q.state IN ('pending', 'running') AND EXISTS (
                    SELECT FROM admin.tenant_migrations m WHERE m.run_id = r.id AND m.state = 'running' AND {MigrationClaims.IsAlive}))
        """;

    /// <summary>Whether nobody is at the tenant, and nobody was since its row was read.</summary>
    /// <param name="connection">A session of the tenant's database.</param>
    /// <param name="seen">The row as it was read.</param>
    /// <param name="ct">Cancels.</param>
    public async Task<bool> IsLeftAloneAsync(NpgsqlConnection connection, TenantEntity seen, CancellationToken ct)
    {
        if (
            await IsLockedAsync(connection, seen.SchemaName, ct).ConfigureAwait(false)
            || await IsBusyAsync(seen.Id, seen.Slug, ct).ConfigureAwait(false)
        )
        {
            return false;
        }

        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        var now = await context
            .Tenants.AsNoTracking()
            .SingleOrDefaultAsync(t => t.Id == seen.Id, ct)
            .ConfigureAwait(false);
        return now is not null
            && now.UpdatedAt == seen.UpdatedAt
            && now.Status == seen.Status
            && now.SchemaName == seen.SchemaName
            && now.ConnectionId == seen.ConnectionId;
    }

    /// <summary>Whether a schema that no row named is nobody's: neither a row's by now, nor of a tenant that somebody is at.</summary>
    /// <param name="connection">A session of the schema's database.</param>
    /// <param name="connectionName">The name of that connection.</param>
    /// <param name="schema">The schema as it was seen.</param>
    /// <param name="ct">Cancels.</param>
    public async Task<bool> IsNobodysAsync(
        NpgsqlConnection connection,
        string connectionName,
        SchemaListing schema,
        CancellationToken ct
    )
    {
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        var there = context.Tenants.AsNoTracking().Where(t => t.Connection!.ConnectionName == connectionName);
        if (schema.Owner is { } owner)
        {
            // The schema of a tenant whose row names one that is not there is that tenant's: a change was interrupted.
            var row = await there.SingleOrDefaultAsync(t => t.Id == owner.Value, ct).ConfigureAwait(false);
            if (
                row is not null
                && (
                    row.Status == TenantStatus.Provisioning
                    || await IsBusyAsync(row.Id, row.Slug, ct).ConfigureAwait(false)
                    || !await ExistsAsync(row.SchemaName).ConfigureAwait(false)
                )
            )
            {
                return false;
            }
        }

        var isKnown =
            await there.AnyAsync(t => t.SchemaName == schema.Name, ct).ConfigureAwait(false)
            || await context
                .WarmSchemas.AnyAsync(
                    s => s.Connection!.ConnectionName == connectionName && s.SchemaName == schema.Name,
                    ct
                )
                .ConfigureAwait(false);
        if (isKnown)
        {
            return false;
        }

        // It may have been dropped, or renamed, with the row that was not there.
        return await ExistsAsync(schema.Name).ConfigureAwait(false);

        async Task<bool> ExistsAsync(string name) =>
            (await SchemaContent.ReadAsync(connection, SchemaName.Parse(name), ct).ConfigureAwait(false)).Exists;
    }

    private static async Task<bool> IsLockedAsync(NpgsqlConnection connection, string schema, CancellationToken ct)
    {
        var command = new NpgsqlCommand($"SELECT {AdvisoryLock.IsHeld("hashtextextended($1, 0)")}", connection)
        {
            Parameters = { new() { Value = SchemaMigration.LockKey(SchemaName.Parse(schema)) } },
        };
        await using var _ = command.ConfigureAwait(false);
        return (bool)(await command.ExecuteScalarAsync(ct).ConfigureAwait(false))!;
    }

    private async Task<bool> IsBusyAsync(Guid tenant, string slug, CancellationToken ct)
    {
        var batch = database.Source.CreateBatch();
        await using var _ = batch.ConfigureAwait(false);
        batch.Add(IsBusy, tenant, TenantReservation.LockKey(slug));
        return (bool)(await batch.ExecuteScalarAsync(ct).ConfigureAwait(false))!;
    }
}
