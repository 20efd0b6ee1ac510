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
    TenantPlacing placing,
    TenantReservation reservation,
    TenantCreationSteps steps,
    TenantAudit audit,
    LifecycleHooks hooks,
    AdminTenantStore tenants,
    TenantMigrationScripts scripts,
    SharedMigration shared,
    SearchPath searchPath,
    TenantRights rights,
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

        // One process at a time creates a slug; the lock ends with this session, whatever becomes of us.
        var session = await database.OpenUnpooledAsync(ct).ConfigureAwait(false);
        await using var _ = session.ConfigureAwait(false);
        await reservation.LockSlugAsync(session, tenant.Slug, ct).ConfigureAwait(false);
        if (await FindMadeAsync(tenant, ct).ConfigureAwait(false) is { } made)
        {
            tenants.Forget(made.Id, [made.Slug]);
            return made;
        }

        var order = await DecideAsync(tenant, ct).ConfigureAwait(false);
        try
        {
            var change = new TenantLifecycleChange
            {
                Action = TenantLifecycleAction.Create,
                Tenant = order.ToBe,
                Actor = audit.Actor,
            };
            await hooks.BeforeAsync(change, ct).ConfigureAwait(false);

            await shared.EnsureAsync(order.Source, ct).ConfigureAwait(false);

            // What is to be seeded must be committed before.
            var oneTransaction =
                database.IsSame(order.Database) && all.All(script => script.IsTransactional) && !hooks.HasSeeders;
            var created = oneTransaction
                ? await CreateAtOnceAsync(session, order, ct).ConfigureAwait(false)
                : await steps.CreateAsync(session, order, ct).ConfigureAwait(false);

            // The tenant exists: no cancellation may say otherwise.
            tenants.Forget(created.Id, [created.Slug]);
            AdminLogMessages.TenantCreated(log, created.Slug, created.Schema.Value, created.ConnectionName);

            // The lock on the slug ends here: a handler may change the tenant that it hears of.
            await session.DisposeAsync().ConfigureAwait(false);
            await hooks.AfterAsync(change with { Tenant = created }).ConfigureAwait(false);
            return created;
        }
        finally
        {
            order.Source.Release();
        }
    }

    /// <summary>The tenant of this very order, where it is made already: who asks again has lost the answer.</summary>
    private async Task<Tenant?> FindMadeAsync(NewTenant order, CancellationToken ct)
    {
        if (order.Id is not { } id)
        {
            return null;
        }

        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        var row = await context
            .Tenants.AsNoTracking()
            .Include(t => t.Connection)
            .SingleOrDefaultAsync(
                t =>
                    t.Id == id.Value
                    && t.Slug == order.Slug
                    && t.Status == TenantStatus.Active
                    && t.TenantType == order.TenantType
                    && (order.ConnectionName == null || t.Connection!.ConnectionName == order.ConnectionName),
                ct
            )
            .ConfigureAwait(false);
        return row is null ? null : TenantReservation.Map(row);
    }

    /// <summary>Decides on id, schema and database: those of a creation that was begun, where there is one.</summary>
    private async Task<TenantOrder> DecideAsync(NewTenant tenant, CancellationToken ct)
    {
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        var begun = await context
            .Tenants.Where(t => t.Slug == tenant.Slug)
            .Select(t => new { t.Id, t.Connection!.ConnectionName })
            .SingleOrDefaultAsync(ct)
            .ConfigureAwait(false);
        var id = tenant.Id ?? (begun is null ? TenantId.New(time) : new TenantId(begun.Id));
        var schema = await TenantAudit
            .ChooseSchemaAsync(context, naming.Value, tenant.Slug, id.Value, ct)
            .ConfigureAwait(false);
        var source = begun is null
            ? await placing.AcquireAsync(tenant, ct).ConfigureAwait(false)
            : await placing.AcquireAgainAsync(tenant.ConnectionName ?? begun.ConnectionName, ct).ConfigureAwait(false);
        var copy =
            tenant.Source == TenantSource.Template
                ? new SchemaCopy(
                    naming.Value.Resolve(SchemaKind.Template),
                    tenant.CopyRows,
                    [.. scripts.All.Select(s => s.History.Table)],
                    scripts.ForOthers(tenant.TenantType),
                    time
                )
                : null;
        return new TenantOrder(tenant with { Id = id, ConnectionName = source.Row.Name }, schema, source, copy);
    }

    /// <summary>Row, schema and tables in one transaction of the admin database.</summary>
    private async Task<Tenant> CreateAtOnceAsync(NpgsqlConnection session, TenantOrder order, CancellationToken ct)
    {
        var context = AdminSchema.ContextOn(session);
        await using var _ = context.ConfigureAwait(false);
        var transaction = await context.Database.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var __ = transaction.ConfigureAwait(false);

        var row = await reservation.ReserveAsync(context, session, order, ct).ConfigureAwait(false);
        var migration = new SchemaMigration(session, order.Schema, searchPath, time, hasSession: true);
        await migration.LockAsync(ct).ConfigureAwait(false);
        var creation = new SchemaCreation(session, order.Database, order.Schema, row.Entity, rights, order.Copy);
        var isWarm = await creation.MoveInAsync(places, ct).ConfigureAwait(false);
        var plan = await creation
            .CreateAsync(migration, scripts.For(row.Entity.TenantType), resume: row.IsResumed || isWarm, ct)
            .ConfigureAwait(false);
        var created = await reservation.ActivateAsync(context, row.Entity, plan.To, ct).ConfigureAwait(false);
        await transaction.CommitAsync(ct).ConfigureAwait(false);
        await TypeReload.TryAsync(order.Source, plan.Pending, log, ct).ConfigureAwait(false);
        return created;
    }
}
