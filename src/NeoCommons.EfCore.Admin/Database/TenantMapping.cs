using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace NeoCommons.EfCore.Admin;

internal sealed class TenantMapping : IEntityTypeConfiguration<TenantEntity>
{
    internal const int LongestName = 200;
    internal const string SlugIndex = "ux_tenants_slug";
    internal const string SchemaIndex = "ux_tenants_connection_id_schema_name";

    /// <summary>The rule of <see cref="SchemaName"/> in SQL; a test holds the two against each other.</summary>
    internal const string SchemaRule =
        "octet_length(convert_to(schema_name, 'UTF8')) BETWEEN 1 AND 63 "
        + @"AND schema_name !~ '[\u0001-\u001f\u007f-\u009f]' "
        + @"AND lower(schema_name COLLATE ""C"") NOT LIKE 'pg\_%' "
        + @"AND lower(schema_name COLLATE ""C"") NOT IN ('public', 'information_schema', '$user', 'neocommons_no_tenant')";

    // A CASE, since AND promises no order: a text is not to be cast.
    private static string LimitRule(string key, int least, int most) =>
        FormattableString.Invariant(
            $"CASE coalesce(jsonb_typeof(limits->'{key}'), 'null') WHEN 'null' THEN true WHEN 'number' THEN (limits->>'{key}')::numeric BETWEEN {least} AND {most} AND limits->>'{key}' ~ '^[0-9]+$' ELSE false END"
        );

    public void Configure(EntityTypeBuilder<TenantEntity> builder)
    {
        builder.ToTable("tenants", Constrain);
        builder.HasKey(t => t.Id).HasName("pk_tenants");
        builder.HasIndex(t => t.Slug).IsUnique().HasDatabaseName(SlugIndex);

        // A connection is one physical database and no other row is, so this is "one schema, one tenant".
        builder.HasIndex(t => new { t.ConnectionId, t.SchemaName }).IsUnique().HasDatabaseName(SchemaIndex);
        builder
            .HasOne(t => t.Connection)
            .WithMany()
            .HasForeignKey(t => t.ConnectionId)
            .OnDelete(DeleteBehavior.Restrict)
            .HasConstraintName("fk_tenants_database_connections");

        builder.Property(t => t.Id).HasColumnName("id").HasDefaultValueSql("gen_random_uuid()");
        builder.Property(t => t.Slug).HasColumnName("slug").UseCollation("C");
        builder.Property(t => t.Name).HasColumnName("name");
        builder.Property(t => t.SchemaName).HasColumnName("schema_name");
        builder.Property(t => t.ConnectionId).HasColumnName("connection_id");
        builder
            .Property(t => t.Status)
            .HasColumnName("status")
            .HasConversion(ColumnText.Of<TenantStatus>(s => s.ToString().ToLowerInvariant()))
            .HasDefaultValueSql("'active'")
            .HasSentinel(TenantStatus.Active);
        builder.Property(t => t.RegionId).HasColumnName("region_id");
        builder.Property(t => t.Limits).HasColumnName("limits").HasColumnType("jsonb").HasDefaultValueSql("'{}'");
        builder.Property(t => t.SchemaVersion).HasColumnName("schema_version");
        builder.Property(t => t.TenantType).HasColumnName("tenant_type");
        builder.Property(t => t.MigratingUntil).HasColumnName("migrating_until");
        builder.Property(t => t.ArchivedAt).HasColumnName("archived_at");
        builder.Property(t => t.RetainedUntil).HasColumnName("retained_until");
        builder.Property(t => t.CreatedAt).HasColumnName("created_at").HasDefaultValueSql("now()");
        builder
            .Property(t => t.UpdatedAt)
            .HasColumnName("updated_at")
            .HasDefaultValueSql("now()")
            .ValueGeneratedOnAddOrUpdate();
    }

    private static void Constrain(TableBuilder<TenantEntity> table)
    {
        Check(
            "slug",
            "slug ~ '^[a-z0-9][a-z0-9_-]{0,38}[a-z0-9]$' AND slug !~ '^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$'"
        );
        Check("name", "length(name) BETWEEN 1 AND 200");
        Check("schema_name", SchemaRule);
        Check("schema_name_is_a_tenants", "schema_name NOT IN ('admin', 'shared', 'tenant_template')");
        Check("status", "status IN ('provisioning', 'active', 'suspended', 'archived')");
        Check("tenant_type", "length(tenant_type) BETWEEN 1 AND 50");
        Check("limits", "jsonb_typeof(limits) = 'object'");
        Check("limits_max_connections", LimitRule(TenantLimitsText.MaxConnections, 1, 1024));
        Check("limits_max_waiting", LimitRule(TenantLimitsText.MaxWaiting, 0, 100_000));
        Check("limits_statement_timeout_ms", LimitRule(TenantLimitsText.StatementTimeout, 1, 86_400_000));
        Check("limits_commands_per_second", LimitRule(TenantLimitsText.CommandsPerSecond, 1, 1_000_000));

        void Check(string name, string sql) => table.HasCheckConstraint("ck_tenants_" + name, sql);
    }
}
