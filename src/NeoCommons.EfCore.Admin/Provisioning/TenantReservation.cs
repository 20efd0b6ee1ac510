using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>The row of a tenant while it is created: written first, active at last, or taken back.</summary>
internal sealed class TenantReservation(TenantAudit audit, WarmSchemas warm, TimeProvider time)
{
    // Not zero: the server notices a little late that a session that was cancelled has ended.
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(400);

    /// <summary>The name of a slug's lock, which is hashed: who holds it is at that tenant, and alive.</summary>
    public static string LockKey(string slug) => "neocommons.provision:" + slug;

    /// <exception cref="ArgumentException">The name is empty, too long, or holds a NUL.</exception>
    public static void ThrowIfInvalidName(string name)
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

    /// <summary>Takes the lock on a slug: one process at a time creates or changes it.</summary>
    /// <exception cref="TenantConflictException">Somebody else is at it.</exception>
    public async Task LockSlugAsync(NpgsqlConnection session, string slug, CancellationToken ct)
    {
        if (!await AdvisoryLock.TryAcquireAsync(session, LockKey(slug), Patience, time, ct).ConfigureAwait(false))
        {
            throw new TenantConflictException(
                slug,
                $"Tenant '{slug}' is being created or changed by another process or request. Wait for it."
            );
        }
    }

    /// <summary>Writes the row that reserves slug and schema, or takes over one that an interrupted creation left.</summary>
    /// <param name="context">The context to write with, in the caller's transaction.</param>
    /// <param name="session">An unpooled session of the admin database, for locks that last as long as the creation.</param>
    /// <param name="order">The tenant.</param>
    /// <param name="ct">Cancels.</param>
    public async Task<(TenantEntity Entity, bool IsResumed)> ReserveAsync(
        AdminDbContext context,
        NpgsqlConnection session,
        TenantOrder order,
        CancellationToken ct
    )
    {
        var (tenant, schema) = (order.Tenant, order.Schema);
        var connection =
            await context
                .DatabaseConnections.SingleOrDefaultAsync(c => c.ConnectionName == order.Database.Name, ct)
                .ConfigureAwait(false)
            ?? throw new ConnectionNotFoundException(order.Database.Name);
        var known = await context.Tenants.SingleOrDefaultAsync(t => t.Slug == tenant.Slug, ct).ConfigureAwait(false);
        if (known is not null)
        {
            var resumed = TakeOver(known, connection, tenant, schema);
            var begun = await TenantAudit.ReadSourceAsync(context, resumed.Id, ct).ConfigureAwait(false);
            if (begun != (tenant.Source, tenant.CopyRows))
            {
                audit.NoteBegun(context, resumed, tenant);
                await context.SaveChangesAsync(ct).ConfigureAwait(false);
            }

            return (resumed, true);
        }

        if (connection.ConnectionType == ConnectionType.Dedicated)
        {
            await ThrowIfOccupiedAsync(context, session, connection, tenant.Slug, ct).ConfigureAwait(false);
        }

        await TenantPlacing
            .ThrowIfFullAsync(
                context,
                connection,
                tenant.Slug,
                () =>
                    AdvisoryLock.AcquireForTransactionAsync(
                        (NpgsqlConnection)context.Database.GetDbConnection(),
                        "neocommons.capacity:" + connection.ConnectionName,
                        time,
                        ct
                    ),
                ct
            )
            .ConfigureAwait(false);

        var row = new TenantEntity
        {
            Id = (tenant.Id ?? TenantId.New(time)).Value,
            Slug = tenant.Slug,
            Name = tenant.Name,
            SchemaName =
                await warm.ClaimAsync(context, connection.Id, tenant, ct).ConfigureAwait(false) ?? schema.Value,
            Connection = connection,
            RegionId = tenant.RegionId ?? connection.RegionId,
            TenantType = tenant.TenantType,
            Status = TenantStatus.Provisioning,
        };
        context.Tenants.Add(row);
        if ((tenant.Source, tenant.CopyRows) != default)
        {
            audit.NoteBegun(context, row, tenant);
        }

        try
        {
            await context.SaveChangesAsync(ct).ConfigureAwait(false);
        }
        catch (DbUpdateException e)
            when (e.InnerException is PostgresException { ConstraintName: "failover_has_no_tenants" })
        {
            throw new TenantConflictException(
                tenant.Slug,
                $"Connection '{tenant.ConnectionName}' is another's failover_connection, and takes no tenants. Name another connection.",
                e
            );
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

    /// <summary>Makes the tenant usable; what a resumed creation has changed is written here too.</summary>
    public async Task<Tenant> ActivateAsync(
        AdminDbContext context,
        TenantEntity row,
        string? version,
        CancellationToken ct
    )
    {
        row.Status = TenantStatus.Active;
        row.SchemaVersion = version;
        audit.Note(context, row, TenantAudit.Created);
        await context.SaveChangesAsync(ct).ConfigureAwait(false);
        return Map(row);
    }

    private static TenantEntity TakeOver(
        TenantEntity known,
        DatabaseConnectionEntity connection,
        NewTenant tenant,
        SchemaName schema
    )
    {
        if (
            known.Status != TenantStatus.Provisioning
            || known.ConnectionId != connection.Id
            || (known.SchemaName != schema.Value && !WarmSchemas.IsWarm(known.SchemaName))
        )
        {
            throw new TenantConflictException(
                tenant.Slug,
                $"Slug '{tenant.Slug}' is taken by a tenant that is {known.Status.ToString().ToLowerInvariant()}. Choose another slug."
            );
        }

        if (tenant.Id is { } id && id.Value != known.Id)
        {
            throw new TenantConflictException(
                tenant.Slug,
                $"Tenant '{tenant.Slug}' was begun with id {known.Id}, and {id} was asked for. Leave the id out, or repeat "
                    + "the one that it was begun with."
            );
        }

        if (tenant.TenantType != known.TenantType)
        {
            throw new TenantConflictException(
                tenant.Slug,
                $"Tenant '{tenant.Slug}' was begun with type '{known.TenantType}', and '{tenant.TenantType}' was asked for. Repeat "
                    + "the type that it was begun with."
            );
        }

        known.Name = tenant.Name;
        known.RegionId = tenant.RegionId ?? connection.RegionId;
        return known;
    }

    // No index can say "one tenant where the connection is dedicated": those who create there take turns.
    private async Task ThrowIfOccupiedAsync(
        AdminDbContext context,
        NpgsqlConnection session,
        DatabaseConnectionEntity connection,
        string slug,
        CancellationToken ct
    )
    {
        await AdvisoryLock
            .AcquireAsync(session, "neocommons.dedicated:" + connection.ConnectionName, time, ct)
            .ConfigureAwait(false);
        if (await context.Tenants.AnyAsync(t => t.ConnectionId == connection.Id, ct).ConfigureAwait(false))
        {
            throw new TenantConflictException(
                slug,
                $"Connection '{connection.ConnectionName}' is DEDICATED and has its tenant already. Choose a SHARED connection, or register another."
            );
        }
    }

    internal static Tenant Map(TenantEntity row) =>
        new()
        {
            Id = new TenantId(row.Id),
            Slug = row.Slug,
            Name = row.Name,
            Schema = SchemaName.Parse(row.SchemaName),
            ConnectionName = row.Connection!.ConnectionName,
            Status = row.Status,
            RegionId = row.RegionId,
            SchemaVersion = row.SchemaVersion,
            TenantType = row.TenantType,
            MigratingUntil = row.MigratingUntil,
            Limits = TenantLimitsText.Parse(row.Limits),
        };
}
