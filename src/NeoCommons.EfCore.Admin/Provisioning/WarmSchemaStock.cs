using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>The schemas that wait in one database: makes them, migrates them, and clears away what was left of others.</summary>
/// <remarks>
/// One process at a time, by an advisory lock, so that none makes too many. A row is written before its schema is made and
/// gets its version when that is complete; a row that waits is locked while its schema is migrated, and passed over.
/// </remarks>
internal sealed class WarmSchemaStock(
    AdminDatabase database,
    TenantPlaces places,
    TenantPlacing placing,
    SchemaBuilding building,
    TenantMigrationScripts scripts,
    ConnectionOpening opening,
    IOptions<WarmPoolOptions> options,
    IOptions<TenantLifecycleOptions> lifecycle
)
{
    private IReadOnlyList<MigrationScript> Known => scripts.For(options.Value.TenantType);

    /// <summary>Brings the stock to its size, unless another process is at it.</summary>
    public Task RefillAsync(string connectionName, CancellationToken ct) =>
        TryVisitAsync(
            connectionName,
            async (context, source, connectionId) =>
            {
                await ClearAsync(context, source, connectionId, ct).ConfigureAwait(false);
                await MigrateAsync(context, source, connectionId, ct).ConfigureAwait(false);
                await FillAsync(context, source, connectionId, ct).ConfigureAwait(false);
            },
            ct
        );

    /// <summary>Drops all that wait, for tenants of any type; one that is being taken is its tenant's.</summary>
    /// <returns>How many; null where another process is at them.</returns>
    public async Task<int?> DropAllAsync(string connectionName, CancellationToken ct)
    {
        var dropped = 0;
        return await TryVisitAsync(
                connectionName,
                async (context, source, connectionId) =>
                {
                    // Without their rows nobody can take them, and what is left of them then is dropped, also the next time.
                    dropped = await context
                        .WarmSchemas.Where(s => s.ConnectionId == connectionId)
                        .ExecuteDeleteAsync(ct)
                        .ConfigureAwait(false);
                    await ClearAsync(context, source, connectionId, ct).ConfigureAwait(false);
                },
                ct
            )
            .ConfigureAwait(false)
            ? dropped
            : null;
    }

    private async Task<bool> TryVisitAsync(
        string connectionName,
        Func<AdminDbContext, PooledDataSource, Guid, Task> visit,
        CancellationToken ct
    )
    {
        using var apart = AmbientTransaction.Suppress();
        var session = await database.OpenUnpooledAsync(ct).ConfigureAwait(false);
        await using var _ = session.ConfigureAwait(false);
        if (!await AdvisoryLock.TryAcquireAsync(session, "neocommons.warm:" + connectionName, ct).ConfigureAwait(false))
        {
            return false;
        }

        var source = await places.AcquireAsync(connectionName, ct).ConfigureAwait(false);
        try
        {
            var context = AdminSchema.ContextOn(session);
            await using var __ = context.ConfigureAwait(false);
            var connection = await context
                .DatabaseConnections.SingleAsync(c => c.ConnectionName == connectionName, ct)
                .ConfigureAwait(false);
            await visit(context, source, connection.Id).ConfigureAwait(false);
            return true;
        }
        finally
        {
            source.Release();
        }
    }

    /// <summary>Drops what nobody can take any more: begun and not finished, or claimed by a creation that was taken back.</summary>
    private async Task ClearAsync(
        AdminDbContext context,
        PooledDataSource source,
        Guid connectionId,
        CancellationToken ct
    )
    {
        // Those that are being made are made under our lock: what has no version was left by a process that died.
        await context
            .WarmSchemas.Where(s => s.ConnectionId == connectionId && s.SchemaVersion == null)
            .ExecuteDeleteAsync(ct)
            .ConfigureAwait(false);
        var connection = await opening.OpenNewAsync(source, pooled: false, ct).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        foreach (var name in await FindMarkedAsync(connection, connectionId, ct).ConfigureAwait(false))
        {
            // Asked for each anew: it may have been claimed since.
            var isKnown =
                await context
                    .WarmSchemas.AnyAsync(s => s.ConnectionId == connectionId && s.SchemaName == name, ct)
                    .ConfigureAwait(false)
                || await context
                    .Tenants.AnyAsync(t => t.ConnectionId == connectionId && t.SchemaName == name, ct)
                    .ConfigureAwait(false);
            if (!isKnown)
            {
                await DropAsync(connection, SchemaName.Parse(name), ct).ConfigureAwait(false);
            }
        }
    }

    private async Task MigrateAsync(
        AdminDbContext context,
        PooledDataSource source,
        Guid connectionId,
        CancellationToken ct
    )
    {
        var latest = Known.SelectMany(s => s.Steps).Select(s => s.Id).Max(StringComparer.Ordinal) ?? "";
        var stale = await context
            .WarmSchemas.Where(s =>
                s.ConnectionId == connectionId && s.TenantType == options.Value.TenantType && s.SchemaVersion != latest
            )
            .Select(s => s.Id)
            .ToListAsync(ct)
            .ConfigureAwait(false);
        foreach (var id in stale)
        {
            var transaction = await context.Database.BeginTransactionAsync(ct).ConfigureAwait(false);
            await using var _ = transaction.ConfigureAwait(false);
            var locked = await context
                .WarmSchemas.FromSql($"SELECT * FROM admin.warm_schemas WHERE id = {id} FOR UPDATE SKIP LOCKED")
                .ToListAsync(ct)
                .ConfigureAwait(false);
            if (locked is [var row])
            {
                row.SchemaVersion = await building
                    .BuildAsync(
                        source,
                        SchemaName.Parse(row.SchemaName),
                        Known,
                        WarmSchemas.Mark,
                        isTemplate: false,
                        ct
                    )
                    .ConfigureAwait(false);
                await context.SaveChangesAsync(ct).ConfigureAwait(false);
            }

            await transaction.CommitAsync(ct).ConfigureAwait(false);
        }
    }

    private async Task FillAsync(
        AdminDbContext context,
        PooledDataSource source,
        Guid connectionId,
        CancellationToken ct
    )
    {
        var type = options.Value.TenantType;
        while (
            await context
                .WarmSchemas.CountAsync(s => s.ConnectionId == connectionId && s.TenantType == type, ct)
                .ConfigureAwait(false) < options.Value.Size
            && await placing.FindFaultAsync(source, ct, anew: true).ConfigureAwait(false) is null
        )
        {
            var row = new WarmSchemaEntity
            {
                ConnectionId = connectionId,
                TenantType = type,
                SchemaName = PrefixOf(connectionId) + Guid.NewGuid().ToString("N"),
            };
            context.WarmSchemas.Add(row);
            await context.SaveChangesAsync(ct).ConfigureAwait(false);

            row.SchemaVersion = await building
                .BuildAsync(source, SchemaName.Parse(row.SchemaName), Known, WarmSchemas.Mark, isTemplate: false, ct)
                .ConfigureAwait(false);
            await context.SaveChangesAsync(ct).ConfigureAwait(false);
        }
    }

    // The row's id: another registry may keep a stock in the same database.
    private static string PrefixOf(Guid connection) => $"{WarmSchemas.Prefix}{connection.ToString("N")[^12..]}_";

    private static async Task<List<string>> FindMarkedAsync(
        NpgsqlConnection connection,
        Guid connectionId,
        CancellationToken ct
    )
    {
        var command = new NpgsqlCommand(
            "SELECT nspname FROM pg_catalog.pg_namespace WHERE obj_description(oid, 'pg_namespace') = $1 AND starts_with(nspname, $2)",
            connection
        )
        {
            Parameters =
            {
                new() { Value = WarmSchemas.Mark },
                new() { Value = PrefixOf(connectionId) },
            },
        };
        await using var _ = command.ConfigureAwait(false);
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        var names = new List<string>();
        while (await reader.ReadAsync(ct).ConfigureAwait(false))
        {
            names.Add(reader.GetString(0));
        }

        return names;
    }

    private async Task DropAsync(NpgsqlConnection connection, SchemaName schema, CancellationToken ct)
    {
        var drop = new SchemaDrop(connection, schema, tenant: null, lifecycle.Value.DropBatch, places);
        await drop.DropRelationsAsync(ct).ConfigureAwait(false);
        var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var _ = transaction.ConfigureAwait(false);
        await drop.LockAsync(ct).ConfigureAwait(false);
        await drop.DropAsync(ct).ConfigureAwait(false);
        await transaction.CommitAsync(ct).ConfigureAwait(false);
    }
}
