using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

internal sealed class DatabaseConnectionMapping : IEntityTypeConfiguration<DatabaseConnectionEntity>
{
    internal static readonly ValueConverter<ConnectionType, string> TypeWords = ColumnText.Of<ConnectionType>(t =>
        t.ToString().ToUpperInvariant()
    );
    internal static readonly ValueConverter<SslMode, string> SslModeWords = ColumnText.Of<SslMode>(
        ColumnText.LibpqSslMode
    );
    internal static readonly ValueConverter<PoolerMode, string> PoolerWords = ColumnText.Of<PoolerMode>(p =>
        p.ToString().ToLowerInvariant()
    );

    public void Configure(EntityTypeBuilder<DatabaseConnectionEntity> builder)
    {
        builder.ToTable("database_connections", Constrain);
        builder.HasKey(c => c.Id).HasName("pk_database_connections");
        builder.HasIndex(c => c.ConnectionName).IsUnique().HasDatabaseName("ux_database_connections_connection_name");

        // The unique index over the physical database is an expression index, so it stands in the migration only.
        builder.Property(c => c.Id).HasColumnName("id").HasDefaultValueSql("gen_random_uuid()");
        builder.Property(c => c.ConnectionName).HasColumnName("connection_name");
        builder
            .Property(c => c.ConnectionType)
            .HasColumnName("connection_type")
            .HasConversion(TypeWords)
            .HasDefaultValueSql("'SHARED'")
            .HasSentinel(ConnectionType.Shared);
        builder.Property(c => c.RegionId).HasColumnName("region_id");
        builder.Property(c => c.Host).HasColumnName("host");
        builder.Property(c => c.Port).HasColumnName("port").HasDefaultValue(5432).HasSentinel(5432);
        builder.Property(c => c.DatabaseName).HasColumnName("database_name");
        builder.Property(c => c.Username).HasColumnName("username");
        builder.Property(c => c.EncryptedPassword).HasColumnName("encrypted_password");
        builder
            .Property(c => c.SslMode)
            .HasColumnName("ssl_mode")
            .HasConversion(SslModeWords)
            .HasDefaultValueSql("'require'")
            .HasSentinel(SslMode.Require);
        builder.Property(c => c.PoolMinSize).HasColumnName("pool_min_size").HasDefaultValue(5).HasSentinel(5);
        builder.Property(c => c.PoolMaxSize).HasColumnName("pool_max_size").HasDefaultValue(20).HasSentinel(20);
        builder
            .Property(c => c.PoolTimeoutSeconds)
            .HasColumnName("pool_timeout_seconds")
            .HasDefaultValue(30)
            .HasSentinel(30);
        builder
            .Property(c => c.PoolRecycleSeconds)
            .HasColumnName("pool_recycle_seconds")
            .HasDefaultValue(3600)
            .HasSentinel(3600);
        builder.Property(c => c.PoolPrePing).HasColumnName("pool_pre_ping").HasDefaultValue(true).HasSentinel(true);
        builder
            .Property(c => c.Pooler)
            .HasColumnName("pooler")
            .HasConversion(PoolerWords)
            .HasDefaultValueSql("'none'")
            .HasSentinel(PoolerMode.None);
        builder.Property(c => c.IsActive).HasColumnName("is_active").HasDefaultValue(true).HasSentinel(true);
        builder.Property(c => c.MaxTenants).HasColumnName("max_tenants").HasDefaultValue(1000).HasSentinel(1000);
        builder.Property(c => c.MaxRelations).HasColumnName("max_relations").HasDefaultValue(50000).HasSentinel(50000);
        builder
            .Property(c => c.AcceptsTenants)
            .HasColumnName("accepts_tenants")
            .HasDefaultValue(true)
            .HasSentinel(true);
        builder.Property(c => c.ReplicaHosts).HasColumnName("replica_hosts");

        // The foreign key, which follows a connection's new name, and the triggers stand in the migration only.
        builder.Property(c => c.FailoverConnection).HasColumnName("failover_connection");
        builder.Property(c => c.FailoverWrites).HasColumnName("failover_writes").HasDefaultValue(false);
        builder.Property(c => c.CreatedAt).HasColumnName("created_at").HasDefaultValueSql("now()");
        builder
            .Property(c => c.UpdatedAt)
            .HasColumnName("updated_at")
            .HasDefaultValueSql("now()")
            .ValueGeneratedOnAddOrUpdate();
    }

    private static void Constrain(TableBuilder<DatabaseConnectionEntity> table)
    {
        // Metrics are told apart by name, and one name is taken: AdminDatabase.Name.
        Check("connection_name", "length(connection_name) BETWEEN 1 AND 100 AND connection_name <> 'admin-database'");
        Check("connection_type", "connection_type IN ('ADMIN', 'SHARED', 'ANALYTICS', 'DEDICATED')");
        Check("host", @"length(host) BETWEEN 1 AND 253 AND host !~ '[,/@\s]'");
        Check("port", "port BETWEEN 1 AND 65535");
        Check("database_name", "octet_length(database_name) BETWEEN 1 AND 63");
        Check("username", "octet_length(username) BETWEEN 1 AND 63");
        Check("ssl_mode", "ssl_mode IN ('disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full')");
        Check("pool_size", "pool_min_size >= 0 AND pool_max_size BETWEEN greatest(pool_min_size, 1) AND 10000");
        Check("pool_timeout_seconds", "pool_timeout_seconds BETWEEN 1 AND 1024");
        Check("pool_recycle_seconds", "pool_recycle_seconds >= 0");
        Check("max_tenants", "max_tenants >= 0");
        Check("max_relations", "max_relations >= 0");
        Check("replica_hosts", @"length(replica_hosts) BETWEEN 1 AND 4000 AND replica_hosts !~ '[/@]'");
        Check("failover_connection", "failover_connection <> connection_name");
        Check("failover_writes", "NOT failover_writes OR failover_connection IS NOT NULL");
        Check("pooler", "pooler IN ('none', 'session', 'transaction')");

        void Check(string name, string sql) => table.HasCheckConstraint("ck_database_connections_" + name, sql);
    }
}
