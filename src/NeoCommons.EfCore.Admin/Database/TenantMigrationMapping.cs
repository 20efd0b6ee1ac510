using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace NeoCommons.EfCore.Admin;

internal sealed class TenantMigrationMapping : IEntityTypeConfiguration<TenantMigrationEntity>
{
    public void Configure(EntityTypeBuilder<TenantMigrationEntity> builder)
    {
        builder.ToTable(
            "tenant_migrations",
            table =>
                table.HasCheckConstraint(
                    "ck_tenant_migrations_state",
                    "state IN ('pending', 'running', 'done', 'failed')"
                )
        );
        builder.HasKey(m => new { m.RunId, m.TenantId }).HasName("pk_tenant_migrations");
        builder
            .HasOne<MigrationRunEntity>()
            .WithMany()
            .HasForeignKey(m => m.RunId)
            .OnDelete(DeleteBehavior.Cascade)
            .HasConstraintName("fk_tenant_migrations_migration_runs");
        builder
            .HasOne(m => m.Tenant)
            .WithMany()
            .HasForeignKey(m => m.TenantId)
            .OnDelete(DeleteBehavior.Cascade)
            .HasConstraintName("fk_tenant_migrations_tenants");
        builder.HasIndex(m => m.TenantId).HasDatabaseName("ix_tenant_migrations_tenant_id");
        // What a runner asks for: the next pending one of a ring, in the databases of a server.
        builder
            .HasIndex(m => new
            {
                m.RunId,
                m.State,
                m.Ring,
                m.ConnectionId,
            })
            .HasDatabaseName("ix_tenant_migrations_run_id_state_ring_connection_id");
        builder.Property(m => m.RunId).HasColumnName("run_id");
        builder.Property(m => m.TenantId).HasColumnName("tenant_id");
        builder.Property(m => m.ConnectionId).HasColumnName("connection_id");
        builder.Property(m => m.Ring).HasColumnName("ring");
        builder
            .Property(m => m.State)
            .HasColumnName("state")
            .HasConversion(ColumnText.Of<TenantMigrationState>(s => s.ToString().ToLowerInvariant()));
        builder.Property(m => m.Runner).HasColumnName("runner");
        builder.Property(m => m.FromVersion).HasColumnName("from_version");
        builder.Property(m => m.ToVersion).HasColumnName("to_version");
        builder.Property(m => m.StartedAt).HasColumnName("started_at");
        builder.Property(m => m.DurationMs).HasColumnName("duration_ms");
        builder.Property(m => m.Error).HasColumnName("error");
    }
}
