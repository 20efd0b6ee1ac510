using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Takes a creation back that has failed. It takes no token: the caller's may be what ended the creation.</summary>
/// <remarks>
/// All of it happens while the row is locked on the session that holds the lock on the slug. Where that is lost, another
/// process may have finished the tenant meanwhile, and nothing is taken back.
/// </remarks>
internal sealed class CreationUndo(
    TenantPlaces places,
    ConnectionOpening opening,
    IOptions<ConnectionOptions> connections,
    IOptions<TenantLifecycleOptions> options,
    ILogger<CreationUndo> log
)
{
    /// <summary>Removes the row; the schema is somebody else's.</summary>
    public Task ForgetAsync(NpgsqlConnection session, TenantEntity row) =>
        UndoAsync(session, row, () => Task.FromResult(true));

    /// <summary>
    /// Removes the row, unless the schema holds something: the commit may have succeeded without its answer reaching us,
    /// and then the row is what lets the creation be finished.
    /// </summary>
    public Task TakeBackAsync(NpgsqlConnection session, TenantOrder order, TenantEntity row) =>
        UndoAsync(
            session,
            row,
            async () =>
            {
                // Not the one that made the schema: it may be what failed.
                var connection = await opening
                    .OpenNewAsync(order.Source, pooled: false, CancellationToken.None)
                    .ConfigureAwait(false);
                await using var _ = connection.ConfigureAwait(false);
                var found = await SchemaContent
                    .ReadAsync(connection, order.Schema, CancellationToken.None)
                    .ConfigureAwait(false);
                return found.Occupant is null;
            }
        );

    /// <summary>Removes schema, role and row of a tenant that nobody but its seeders has seen.</summary>
    /// <param name="session">The session that holds the lock on the slug.</param>
    /// <param name="connection">The connection that made the schema: it may hold the schema's lock.</param>
    /// <param name="order">The tenant.</param>
    /// <param name="row">Its row.</param>
    public Task DropAsync(NpgsqlConnection session, NpgsqlConnection connection, TenantOrder order, TenantEntity row) =>
        UndoAsync(session, row, () => TryDropAsync(connection, order, new TenantId(row.Id)));

    private async Task<bool> TryDropAsync(NpgsqlConnection connection, TenantOrder order, TenantId tenant)
    {
        var ct = CancellationToken.None;
        var found = await SchemaContent.ReadAsync(connection, order.Schema, ct).ConfigureAwait(false);
        if (!found.Exists || !SchemaMark.Is(found.Comment, tenant.Value))
        {
            return false;
        }

        await SchemaDrop
            .DropRelationsAsync(connection, order.Schema, options.Value.DropBatch, LockAsync, ct)
            .ConfigureAwait(false);
        var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var __ = transaction.ConfigureAwait(false);
        await LockAsync().ConfigureAwait(false);
        await SchemaDrop.DropAsync(connection, order.Schema, ct).ConfigureAwait(false);
        if (connections.Value.TenantRoles)
        {
            await SchemaDrop.TryDropRoleAsync(connection, tenant, ct).ConfigureAwait(false);
        }

        await transaction.CommitAsync(ct).ConfigureAwait(false);
        return true;

        Task LockAsync() => places.LockSchemasAsync(connection, [order.Schema], ct);
    }

    private async Task UndoAsync(NpgsqlConnection session, TenantEntity row, Func<Task<bool>> clear)
    {
        try
        {
            var transaction = await session.BeginTransactionAsync(CancellationToken.None).ConfigureAwait(false);
            await using var _ = transaction.ConfigureAwait(false);
            var isOurs = await ExecuteAsync(
                    "SELECT true FROM admin.tenants WHERE id = $1 AND status = 'provisioning' FOR UPDATE"
                )
                .ConfigureAwait(false);
            if (isOurs is not true)
            {
                return;
            }

            if (!await clear().ConfigureAwait(false))
            {
                AdminLogMessages.CreationUnfinished(log, row.Slug);
                return;
            }

            await ExecuteAsync("DELETE FROM admin.tenants WHERE id = $1").ConfigureAwait(false);
            await transaction.CommitAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            AdminLogMessages.CompensationFailed(log, e, row.Slug);
        }

        async Task<object?> ExecuteAsync(string sql)
        {
            var command = new NpgsqlCommand(sql, session) { Parameters = { new() { Value = row.Id } } };
            await using var _ = command.ConfigureAwait(false);
            return await command.ExecuteScalarAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }
}
