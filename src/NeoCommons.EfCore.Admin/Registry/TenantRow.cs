using System.Text.Json.Serialization;
using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Admin;

/// <summary>The columns of <c>admin.tenants</c> that a tenant needs; not the entity, as in <see cref="ConnectionRow"/>.</summary>
internal sealed class TenantRow
{
    private static readonly Func<string, TenantStatus> StatusOf = ColumnText
        .Of<TenantStatus>(s => s.ToString().ToLowerInvariant())
        .ConvertFromProviderTyped;

    public Guid Id { get; init; }
    public required string Slug { get; init; }
    public required string Name { get; init; }
    public required string SchemaName { get; init; }
    public required string ConnectionName { get; init; }
    public required string Status { get; init; }
    public string? RegionId { get; init; }
    public string? SchemaVersion { get; init; }
    public string? TenantType { get; init; }
    public DateTimeOffset? MigratingUntil { get; init; }

    /// <summary>The limits; null in a value of a process that did not read them yet.</summary>
    public string? Limits { get; init; }

    /// <summary>The oldest transaction that was not over when it was read.</summary>
    [JsonIgnore]
    public long Transaction { get; init; }

    [JsonIgnore]
    public DateTimeOffset ServerStartedAt { get; init; }

    /// <summary>What is known to what was read.</summary>
    [JsonIgnore]
    public RowPosition Position => new(ServerStartedAt, Transaction);

    public static IQueryable<TenantRow> Query(AdminDbContext db) =>
        db.Database.SqlQuery<TenantRow>(
            $"""
            SELECT t.id AS "Id", t.slug AS "Slug", t.name AS "Name", t.schema_name AS "SchemaName",
                c.connection_name AS "ConnectionName", t.status AS "Status", t.region_id AS "RegionId",
                t.schema_version AS "SchemaVersion", t.tenant_type AS "TenantType", t.migrating_until AS "MigratingUntil",
                t.limits::text AS "Limits",
                pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "Transaction",
                pg_postmaster_start_time() AS "ServerStartedAt"
            FROM admin.tenants t JOIN admin.database_connections c ON c.id = t.connection_id
            """
        );

    /// <summary>The tenant; fails where a column holds what is not known here.</summary>
    public Tenant ToTenant() =>
        new()
        {
            Id = new TenantId(Id),
            Slug = Slug,
            Name = Name,
            Schema = EfCore.SchemaName.Parse(SchemaName),
            ConnectionName = ConnectionName,
            Status = StatusOf(Status),
            RegionId = RegionId,
            SchemaVersion = SchemaVersion,
            TenantType = TenantType,
            MigratingUntil = MigratingUntil,
            Limits = TenantLimitsText.Parse(Limits),
        };
}
