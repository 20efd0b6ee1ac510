using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

internal sealed class TenantProvisioner(
    AdminDatabase database,
    IDbContextFactory<AdminDbContext> contexts,
    TenantDataSources sources,
    AdminTenantStore tenants,
    TenantMigrationScripts scripts,
    SearchPath searchPath,
    ConnectionOpening opening,
    IOptions<SchemaNaming> naming,
    TimeProvider time,
    ILogger<TenantProvisioner> log
) : ITenantProvisioner
{
    public async Task<Tenant> CreateAsync(NewTenant tenant, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(tenant);
        ThrowIfInvalid(tenant.Name);
        var schema = naming.Value.ForTenant(tenant.Slug);
        var all = scripts.All;
        var source = await sources.AcquireAsync(tenant.ConnectionName, ct).ConfigureAwait(false);
        try
        {
            // One process at a time creates a slug; the lock ends with this session, whatever becomes of us.
            var session = await database.OpenUnpooledAsync(ct).ConfigureAwait(false);
            await using var _ = session.ConfigureAwait(false);
            await LockSlugAsync(session, tenant.Slug, ct).ConfigureAwait(false);

            var oneTransaction = database.IsSame(source.Row) && all.All(script => script.IsTransactional);
            var created = oneTransaction
                ? await CreateAtOnceAsync(session, tenant, schema, ct).ConfigureAwait(false)
                : await CreateInStepsAsync(source, tenant, schema, ct).ConfigureAwait(false);
            await tenants.ForgetAsync(ct).ConfigureAwait(false);
            AdminLogMessages.TenantCreated(log, created.Slug, created.Schema.Value, created.ConnectionName);
            return created;
        }
        finally
        {
            source.Release();
        }
    }

    private static void ThrowIfInvalid(string name)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name, nameof(NewTenant.Name));
        if (name.Length > TenantMapping.LongestName || name.Contains('\0', StringComparison.Ordinal))
        {
            throw new ArgumentException(
                $"A tenant's name has 1 to {TenantMapping.LongestName} characters and no NUL; this one has {name.Length}.",
                nameof(NewTenant.Name)
            );
        }
    }

    /// <summary>Row, schema and tables in one transaction of the admin database.</summary>
    private async Task<Tenant> CreateAtOnceAsync(
        NpgsqlConnection session,
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

        var row = await ReserveAsync(context, tenant, schema, ct).ConfigureAwait(false);
        var migration = new SchemaMigration(session, schema, searchPath);
        await migration.LockAsync(ct).ConfigureAwait(false);
        var version = await new SchemaCreation(session, schema, tenant.Slug)
            .CreateAsync(migration, scripts.All, resume: row.IsResumed, ct)
            .ConfigureAwait(false);
        var created = await ActivateAsync(context, row.Entity, version, ct).ConfigureAwait(false);
        await transaction.CommitAsync(ct).ConfigureAwait(false);
        return created;
    }

    /// <summary>The row, then schema and tables, then the row again; if the schema fails, the row is taken back.</summary>
    private async Task<Tenant> CreateInStepsAsync(
        PooledDataSource source,
        NewTenant tenant,
        SchemaName schema,
        CancellationToken ct
    )
    {
        // Opened before anything is written: a database that cannot be reached leaves no trace.
        var connection = await OpenUnpooledAsync(source, ct).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var __ = context.ConfigureAwait(false);
        var row = await ReserveAsync(context, tenant, schema, ct).ConfigureAwait(false);
        string? version;
        try
        {
            var migration = new SchemaMigration(connection, schema, searchPath);
            await migration.LockAsync(ct).ConfigureAwait(false);
            version = await new SchemaCreation(connection, schema, tenant.Slug)
                .CreateOrUndoAsync(migration, scripts.All, row.IsResumed, ct)
                .ConfigureAwait(false);
        }
        catch (TenantConflictException) when (!row.IsResumed)
        {
            // What is in the schema is somebody else's, and nothing of ours was added.
            await DeleteReservationAsync(row.Entity).ConfigureAwait(false);
            throw;
        }
        catch when (!row.IsResumed)
        {
            await TakeBackAsync(source, schema, row.Entity).ConfigureAwait(false);
            throw;
        }

        // The schema stands: from here on the row is finished by creating the tenant again, never taken back.
        return await ActivateAsync(context, row.Entity, version, ct).ConfigureAwait(false);
    }

    private static async Task LockSlugAsync(NpgsqlConnection session, string slug, CancellationToken ct)
    {
        var command = new NpgsqlCommand(
            "SELECT pg_try_advisory_lock(hashtextextended('neocommons.provision:' || $1, 0))",
            session
        )
        {
            Parameters = { new() { Value = slug } },
        };
        await using var _ = command.ConfigureAwait(false);
        if (await command.ExecuteScalarAsync(ct).ConfigureAwait(false) is not true)
        {
            throw new TenantConflictException(
                slug,
                $"Tenant '{slug}' is being created by another process or request. Wait for it."
            );
        }
    }

    /// <summary>Writes the row that reserves slug and schema, or takes over one that an interrupted creation left.</summary>
    private async Task<(TenantEntity Entity, bool IsResumed)> ReserveAsync(
        AdminDbContext context,
        NewTenant tenant,
        SchemaName schema,
        CancellationToken ct
    )
    {
        var connection =
            await context
                .DatabaseConnections.SingleOrDefaultAsync(c => c.ConnectionName == tenant.ConnectionName, ct)
                .ConfigureAwait(false)
            ?? throw new ConnectionNotFoundException(tenant.ConnectionName);
        var known = await context.Tenants.SingleOrDefaultAsync(t => t.Slug == tenant.Slug, ct).ConfigureAwait(false);
        if (
            known is { Status: TenantStatus.Provisioning }
            && known.ConnectionId == connection.Id
            && known.SchemaName == schema.Value
        )
        {
            return (known, true);
        }

        if (known is not null)
        {
            throw new TenantConflictException(
                tenant.Slug,
                $"Slug '{tenant.Slug}' is taken by a tenant that is {known.Status.ToString().ToLowerInvariant()}. Choose another slug."
            );
        }

        if (
            connection.ConnectionType == ConnectionType.Dedicated
            && await context.Tenants.AnyAsync(t => t.ConnectionId == connection.Id, ct).ConfigureAwait(false)
        )
        {
            throw new TenantConflictException(
                tenant.Slug,
                $"Connection '{connection.ConnectionName}' is DEDICATED and has its tenant already. Choose a SHARED connection, or register another."
            );
        }

        var row = new TenantEntity
        {
            Id = (tenant.Id ?? TenantId.New(time)).Value,
            Slug = tenant.Slug,
            Name = tenant.Name,
            SchemaName = schema.Value,
            Connection = connection,
            RegionId = tenant.RegionId ?? connection.RegionId,
            Status = TenantStatus.Provisioning,
        };
        context.Tenants.Add(row);
        try
        {
            await context.SaveChangesAsync(ct).ConfigureAwait(false);
        }
        catch (DbUpdateException e)
            when (e.InnerException is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation } p)
        {
            throw new TenantConflictException(
                tenant.Slug,
                p.ConstraintName switch
                {
                    TenantMapping.SlugIndex => $"Slug '{tenant.Slug}' is taken. Choose another slug.",
                    TenantMapping.SchemaIndex =>
                        $"Schema '{schema}' of connection '{tenant.ConnectionName}' is another tenant's. Choose another slug.",
                    _ => $"A tenant with id {row.Id} exists. Leave the id out to get a new one.",
                },
                e
            );
        }

        return (row, false);
    }

    private static async Task<Tenant> ActivateAsync(
        AdminDbContext context,
        TenantEntity row,
        string? version,
        CancellationToken ct
    )
    {
        row.Status = TenantStatus.Active;
        row.SchemaVersion = version;
        await context.SaveChangesAsync(ct).ConfigureAwait(false);
        return AdminTenantStore.Map(row);
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
            var connection = await OpenUnpooledAsync(source, CancellationToken.None).ConfigureAwait(false);
            await using var _ = connection.ConfigureAwait(false);
            var found = await SchemaContent.ReadAsync(connection, schema, CancellationToken.None).ConfigureAwait(false);
            if (found.Occupant is not null)
            {
                AdminLogMessages.CreationUnfinished(log, row.Slug);
                return;
            }

            await DeleteReservationAsync(row).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            AdminLogMessages.CompensationFailed(log, e, row.Slug);
        }
    }

    private async Task DeleteReservationAsync(TenantEntity row)
    {
        var context = await contexts.CreateDbContextAsync(CancellationToken.None).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        await context
            .Tenants.Where(t => t.Id == row.Id && t.Status == TenantStatus.Provisioning)
            .ExecuteDeleteAsync(CancellationToken.None)
            .ConfigureAwait(false);
    }

    private async Task<NpgsqlConnection> OpenUnpooledAsync(PooledDataSource source, CancellationToken ct)
    {
        var connection = source.Unpooled.CreateConnection();
        try
        {
            await opening.OpenAsync(connection, source.Row, null, async: true, ct).ConfigureAwait(false);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
