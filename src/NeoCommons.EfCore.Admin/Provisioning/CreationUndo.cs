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
    /// <summary>How long the schema's lock is waited for.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Removes the row; the schema is somebody else's.</summary>
    public Task ForgetAsync(NpgsqlConnection session, TenantEntity row) => UndoAsync(session, row, forget => forget());

    /// <summary>
    /// Removes the row, unless the schema holds something: the commit may have succeeded without its answer reaching us,
    /// and then the row is what lets the creation be finished.
    /// </summary>
    /// <remarks>
    /// The connection that made the schema must be closed. The server may be at its last statement still, the commit for
    /// one, and holds the schema's lock for as long: what is there is known only under that lock. Where it is not to be
    /// had, the row stays.
    /// </remarks>
    public Task TakeBackAsync(NpgsqlConnection session, TenantOrder order, TenantEntity row) =>
        UndoAsync(session, row, forget => TryTakeBackAsync(order, new TenantId(row.Id), forget));

    /// <summary>Removes schema, role and row of a tenant that nobody but its seeders has seen.</summary>
    /// <param name="session">The session that holds the lock on the slug.</param>
    /// <param name="connection">The connection that made the schema: it may hold the schema's lock.</param>
    /// <param name="order">The tenant.</param>
    /// <param name="row">Its row.</param>
    public Task DropAsync(NpgsqlConnection session, NpgsqlConnection connection, TenantOrder order, TenantEntity row) =>
        UndoAsync(session, row, forget => TryDropAsync(connection, order, new TenantId(row.Id), forget));

    private async Task<bool> TryTakeBackAsync(TenantOrder order, TenantId tenant, Func<Task<bool>> forget)
    {
        var ct = CancellationToken.None;
        var connection = await opening.OpenNewAsync(order.Source, pooled: false, ct).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var __ = transaction.ConfigureAwait(false);
        if (!await places.TryLockSchemaAsync(connection, order.Schema, Patience, ct).ConfigureAwait(false))
        {
            return false;
        }

        var found = await SchemaContent.ReadAsync(connection, order.Schema, ct).ConfigureAwait(false);
        if (found.Occupant is not null)
        {
            return false;
        }

        if (found.Exists && SchemaMark.Is(found.Comment, tenant.Value))
        {
            await connection.ExecuteAsync($"DROP SCHEMA {order.Schema.Quoted} RESTRICT", ct).ConfigureAwait(false);
            await transaction.CommitAsync(ct).ConfigureAwait(false);
        }

        return await forget().ConfigureAwait(false);
    }

    private async Task<bool> TryDropAsync(
        NpgsqlConnection connection,
        TenantOrder order,
        TenantId tenant,
        Func<Task<bool>> forget
    )
    {
        var ct = CancellationToken.None;
        var found = await SchemaContent.ReadAsync(connection, order.Schema, ct).ConfigureAwait(false);
        if (!found.Exists || !SchemaMark.Is(found.Comment, tenant.Value))
        {
            return false;
        }

        var drop = new SchemaDrop(connection, order.Schema, tenant, options.Value.DropBatch, places);
        await drop.DropRelationsAsync(ct).ConfigureAwait(false);
        var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var __ = transaction.ConfigureAwait(false);
        await drop.LockAsync(ct).ConfigureAwait(false);
        await drop.DropAsync(ct).ConfigureAwait(false);
        if (connections.Value.TenantRoles)
        {
            await SchemaDrop.TryDropRoleAsync(connection, tenant, ct).ConfigureAwait(false);
        }

        await transaction.CommitAsync(ct).ConfigureAwait(false);
        return await forget().ConfigureAwait(false);
    }

    /// <summary>Lets something be cleared away, which then has the row forgotten; false where it could not be.</summary>
    private async Task UndoAsync(NpgsqlConnection session, TenantEntity row, Func<Func<Task<bool>>, Task<bool>> clear)
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

            if (!await clear(ForgetAsync).ConfigureAwait(false))
            {
                AdminLogMessages.CreationUnfinished(log, row.Slug);
            }

            async Task<bool> ForgetAsync()
            {
                await ExecuteAsync(TenantAudit.UndoneSql).ConfigureAwait(false);
                await ExecuteAsync("DELETE FROM admin.tenants WHERE id = $1").ConfigureAwait(false);
                await transaction.CommitAsync(CancellationToken.None).ConfigureAwait(false);
                return true;
            }
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
