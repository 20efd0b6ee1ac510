using Microsoft.Extensions.Logging;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Creates a tenant where one transaction cannot hold all of it.</summary>
/// <remarks>
/// The row as provisioning, the schema, the seeding, the row as active: whoever is killed in between leaves a row that
/// says how far it got, and creating the tenant again goes on from there. The registry is written on the session that
/// holds the lock on the slug: who has lost it, and was followed by another, writes nothing any more.
/// </remarks>
internal sealed class TenantCreationSteps(
    TenantReservation reservation,
    TenantPlaces places,
    LifecycleHooks hooks,
    TenantMigrationScripts scripts,
    SearchPath searchPath,
    TenantRights rights,
    ConnectionOpening opening,
    CreationUndo undo,
    TimeProvider time,
    ILogger<TenantCreationSteps> log
)
{
    public async Task<Tenant> CreateAsync(NpgsqlConnection session, TenantOrder order, CancellationToken ct)
    {
        // Opened before anything is written: a database that cannot be reached leaves no trace.
        var connection = await opening.OpenNewAsync(order.Source, pooled: false, ct).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        var context = AdminSchema.ContextOn(session);
        await using var __ = context.ConfigureAwait(false);
        var row = await ReserveAsync(context, session, order, ct).ConfigureAwait(false);
        var creation = new SchemaCreation(connection, order.Database, order.Schema, row.Entity, rights, order.Copy);
        var hasSession = order.Database.Pooler != PoolerMode.Transaction;
        var migration = new SchemaMigration(connection, order.Schema, searchPath, time, hasSession);
        MigrationPlan plan;
        try
        {
            plan = await (
                hasSession
                    ? CreateInSessionAsync(migration, creation, order, row.IsResumed, ct)
                    : CreateInTransactionAsync(connection, migration, creation, order, row.IsResumed, ct)
            ).ConfigureAwait(false);
        }
        catch (Exception e) when (!row.IsResumed && (e is TenantConflictException || !migration.WasLocked))
        {
            // What is in the schema is somebody else's, and nothing of ours was added.
            await undo.ForgetAsync(session, row.Entity).ConfigureAwait(false);
            throw;
        }
        catch when (!row.IsResumed)
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            await undo.TakeBackAsync(session, order, row.Entity).ConfigureAwait(false);
            throw;
        }

        await TypeReload.TryAsync(order.Source, plan.Pending, log, ct).ConfigureAwait(false);
        try
        {
            await SeedAsync(order, row.Entity, ct).ConfigureAwait(false);
        }
        catch when (!row.IsResumed && creation.IsNew)
        {
            await undo.DropAsync(session, connection, order, row.Entity).ConfigureAwait(false);
            throw;
        }

        order.Source.Hosts?.NoteWrite(new TenantId(row.Entity.Id));

        // The schema stands: from here on the row is finished by creating the tenant again, never taken back.
        return await reservation.ActivateAsync(context, row.Entity, plan.To, ct).ConfigureAwait(false);
    }

    private async Task<(TenantEntity Entity, bool IsResumed)> ReserveAsync(
        AdminDbContext context,
        NpgsqlConnection session,
        TenantOrder order,
        CancellationToken ct
    )
    {
        var transaction = await context.Database.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var _ = transaction.ConfigureAwait(false);
        var row = await reservation.ReserveAsync(context, session, order, ct).ConfigureAwait(false);
        await transaction.CommitAsync(ct).ConfigureAwait(false);
        return row;
    }

    private async Task<MigrationPlan> CreateInSessionAsync(
        SchemaMigration migration,
        SchemaCreation creation,
        TenantOrder order,
        bool isResumed,
        CancellationToken ct
    )
    {
        await migration.LockAsync(ct).ConfigureAwait(false);
        return await creation
            .CreateOrUndoAsync(migration, places, scripts.For(order.Tenant.TenantType), isResumed, ct)
            .ConfigureAwait(false);
    }

    /// <summary>The same behind a transaction pooler: all in one transaction.</summary>
    private async Task<MigrationPlan> CreateInTransactionAsync(
        NpgsqlConnection connection,
        SchemaMigration migration,
        SchemaCreation creation,
        TenantOrder order,
        bool isResumed,
        CancellationToken ct
    )
    {
        var all = scripts.For(order.Tenant.TenantType);
        MigrationStep.ThrowIfNotTransactional(all.SelectMany(script => script.Steps), order.Database);
        var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var _ = transaction.ConfigureAwait(false);
        await migration.LockAsync(ct).ConfigureAwait(false);
        var isThere = await creation.MoveInAsync(places, ct).ConfigureAwait(false);
        var plan = await creation.CreateAsync(migration, all, isResumed || isThere, ct).ConfigureAwait(false);
        await transaction.CommitAsync(ct).ConfigureAwait(false);
        return plan;
    }

    private Task SeedAsync(TenantOrder order, TenantEntity row, CancellationToken ct) =>
        hooks.HasSeeders ? hooks.SeedAsync(order.ToBe with { Id = new TenantId(row.Id) }, ct) : Task.CompletedTask;
}
