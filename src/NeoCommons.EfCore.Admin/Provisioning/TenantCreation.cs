using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Creates tenants.</summary>
internal sealed class TenantCreation(
    AdminDatabase database,
    IDbContextFactory<AdminDbContext> contexts,
    TenantPlaces places,
    TenantReservation reservation,
    TenantAudit audit,
    LifecycleHooks hooks,
    AdminTenantStore tenants,
    TenantMigrationScripts scripts,
    SharedMigration shared,
    SearchPath searchPath,
    TenantRights rights,
    ConnectionOpening opening,
    IOptions<SchemaNaming> naming,
    TimeProvider time,
    ILogger<TenantCreation> log
)
{
    public async Task<Tenant> CreateAsync(NewTenant tenant, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(tenant);
        TenantReservation.ThrowIfInvalidName(tenant.Name);
        naming.Value.ForTenant(tenant.Slug);
        var all = scripts.For(tenant.TenantType);
        using var apart = AmbientTransaction.Suppress();
        var source = await places.AcquireAsync(tenant.ConnectionName, ct).ConfigureAwait(false);
        try
        {
            // One process at a time creates a slug; the lock ends with this session, whatever becomes of us.
            var session = await database.OpenUnpooledAsync(ct).ConfigureAwait(false);
            await using var _ = session.ConfigureAwait(false);
            await reservation.LockSlugAsync(session, tenant.Slug, ct).ConfigureAwait(false);
            var (toBe, schema) = await DescribeAsync(tenant, source.Row, ct).ConfigureAwait(false);
            var change = new TenantLifecycleChange
            {
                Action = TenantLifecycleAction.Create,
                Tenant = toBe,
                Actor = audit.Actor,
            };
            await hooks.BeforeAsync(change, ct).ConfigureAwait(false);
            tenant = tenant with { Id = toBe.Id };
            await shared.EnsureAsync(source, ct).ConfigureAwait(false);
            var oneTransaction = database.IsSame(source.Row) && all.All(script => script.IsTransactional);
            var (created, plan) = oneTransaction
                ? await CreateAtOnceAsync(session, source.Row, tenant, schema, ct).ConfigureAwait(false)
                : await CreateInStepsAsync(session, source, tenant, schema, ct).ConfigureAwait(false);

            // The tenant exists: no cancellation may say otherwise.
            await tenants.ForgetAsync(CancellationToken.None).ConfigureAwait(false);
            await TypeReload.TryAsync(source, plan.Pending, log, ct).ConfigureAwait(false);
            AdminLogMessages.TenantCreated(log, created.Slug, created.Schema.Value, created.ConnectionName);
            await hooks.AfterAsync(change with { Tenant = created }).ConfigureAwait(false);
            return created;
        }
        finally
        {
            source.Release();
        }
    }

    /// <summary>The tenant as it is going to be: with the id of one that was begun before, where there is one.</summary>
    private async Task<(Tenant ToBe, SchemaName Schema)> DescribeAsync(
        NewTenant tenant,
        DatabaseConnection database,
        CancellationToken ct
    )
    {
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        var begun = await context
            .Tenants.Where(t => t.Slug == tenant.Slug)
            .Select(t => (Guid?)t.Id)
            .SingleOrDefaultAsync(ct)
            .ConfigureAwait(false);
        var id = tenant.Id ?? (begun is { } known ? new TenantId(known) : TenantId.New(time));
        var schema = await TenantAudit
            .ChooseSchemaAsync(context, naming.Value, tenant.Slug, id.Value, ct)
            .ConfigureAwait(false);
        var toBe = new Tenant
        {
            Id = id,
            Slug = tenant.Slug,
            Name = tenant.Name,
            Schema = schema,
            ConnectionName = database.Name,
            Status = TenantStatus.Provisioning,
            RegionId = tenant.RegionId ?? database.RegionId,
        };
        return (toBe, schema);
    }

    /// <summary>Row, schema and tables in one transaction of the admin database.</summary>
    private async Task<(Tenant, MigrationPlan)> CreateAtOnceAsync(
        NpgsqlConnection session,
        DatabaseConnection database,
        NewTenant tenant,
        SchemaName schema,
        CancellationToken ct
    )
    {
        var options = new DbContextOptionsBuilder<AdminDbContext>();
        options.UseAdminSchema(session);
        var context = new AdminDbContext(options.Options);
        await using var _ = context.ConfigureAwait(false);
        var transaction = await context.Database.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var __ = transaction.ConfigureAwait(false);

        var row = await reservation.ReserveAsync(context, session, tenant, schema, ct).ConfigureAwait(false);
        var migration = new SchemaMigration(session, schema, searchPath, time, hasSession: true);
        await migration.LockAsync(ct).ConfigureAwait(false);
        var plan = await new SchemaCreation(session, database, schema, row.Entity, rights)
            .CreateAsync(migration, scripts.For(tenant.TenantType), resume: row.IsResumed, ct)
            .ConfigureAwait(false);
        var created = await reservation.ActivateAsync(context, row.Entity, plan.To, ct).ConfigureAwait(false);
        await transaction.CommitAsync(ct).ConfigureAwait(false);
        return (created, plan);
    }

    /// <summary>The row, then schema and tables, then the row again; if the schema fails, the row is taken back.</summary>
    private async Task<(Tenant, MigrationPlan)> CreateInStepsAsync(
        NpgsqlConnection session,
        PooledDataSource source,
        NewTenant tenant,
        SchemaName schema,
        CancellationToken ct
    )
    {
        // Opened before anything is written: a database that cannot be reached leaves no trace.
        var connection = await opening.OpenNewAsync(source, pooled: false, ct).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var __ = context.ConfigureAwait(false);
        var row = await reservation.ReserveAsync(context, session, tenant, schema, ct).ConfigureAwait(false);
        MigrationPlan plan;
        try
        {
            plan = await CreateSchemaAsync(connection, source.Row, schema, row, ct).ConfigureAwait(false);
        }
        catch (TenantConflictException) when (!row.IsResumed)
        {
            // What is in the schema is somebody else's, and nothing of ours was added.
            await reservation.DeleteAsync(row.Entity).ConfigureAwait(false);
            throw;
        }
        catch when (!row.IsResumed)
        {
            await TakeBackAsync(source, schema, row.Entity).ConfigureAwait(false);
            throw;
        }

        // The schema stands: from here on the row is finished by creating the tenant again, never taken back.
        return (await reservation.ActivateAsync(context, row.Entity, plan.To, ct).ConfigureAwait(false), plan);
    }

    private async Task<MigrationPlan> CreateSchemaAsync(
        NpgsqlConnection connection,
        DatabaseConnection database,
        SchemaName schema,
        (TenantEntity Entity, bool IsResumed) row,
        CancellationToken ct
    )
    {
        var all = scripts.For(row.Entity.TenantType);
        var creation = new SchemaCreation(connection, database, schema, row.Entity, rights);
        var hasSession = database.Pooler != PoolerMode.Transaction;
        var migration = new SchemaMigration(connection, schema, searchPath, time, hasSession);
        if (hasSession)
        {
            await migration.LockAsync(ct).ConfigureAwait(false);
            return await creation.CreateOrUndoAsync(migration, all, row.IsResumed, ct).ConfigureAwait(false);
        }

        MigrationStep.ThrowIfNotTransactional(all.SelectMany(script => script.Steps), database);
        var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var _ = transaction.ConfigureAwait(false);
        await migration.LockAsync(ct).ConfigureAwait(false);
        var plan = await creation.CreateAsync(migration, all, row.IsResumed, ct).ConfigureAwait(false);
        await transaction.CommitAsync(ct).ConfigureAwait(false);
        return plan;
    }

    /// <summary>
    /// Removes the row of a failed creation, unless the schema holds something: the commit may have succeeded without its
    /// answer reaching us, and then the row is what lets the creation be finished.
    /// </summary>
    private async Task TakeBackAsync(PooledDataSource source, SchemaName schema, TenantEntity row)
    {
        try
        {
            // Not the caller's token: it may be what ended the creation.
            var connection = await opening
                .OpenNewAsync(source, pooled: false, CancellationToken.None)
                .ConfigureAwait(false);
            await using var _ = connection.ConfigureAwait(false);
            var found = await SchemaContent.ReadAsync(connection, schema, CancellationToken.None).ConfigureAwait(false);
            if (found.Occupant is not null)
            {
                AdminLogMessages.CreationUnfinished(log, row.Slug);
                return;
            }

            await reservation.DeleteAsync(row).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            AdminLogMessages.CompensationFailed(log, e, row.Slug);
        }
    }
}
