using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace NeoCommons.EfCore.Admin;

internal sealed class MigrationRunMapping : IEntityTypeConfiguration<MigrationRunEntity>
{
    public void Configure(EntityTypeBuilder<MigrationRunEntity> builder)
    {
        builder.ToTable(
            "migration_runs",
            table =>
                table.HasCheckConstraint(
                    "ck_migration_runs_status",
                    "status IN ('running', 'completed', 'failed', 'stopped')"
                )
        );
        builder.HasKey(r => r.Id).HasName("pk_migration_runs");

        // Whoever comes while a run to the same target goes on joins it.
        builder
            .HasIndex(r => r.Target)
            .IsUnique()
            .HasFilter("status = 'running'")
            .HasDatabaseName("ux_migration_runs_running");
        builder.Property(r => r.Id).HasColumnName("id").HasDefaultValueSql("gen_random_uuid()");
        builder
            .Property(r => r.Status)
            .HasColumnName("status")
            .HasConversion(ColumnText.Of<MigrationRunStatus>(s => s.ToString().ToLowerInvariant()));
        builder.Property(r => r.Target).HasColumnName("target");
        builder.Property(r => r.StartedBy).HasColumnName("started_by");
        builder.Property(r => r.ErrorBudget).HasColumnName("error_budget");
        builder
            .Property(r => r.StartedAt)
            .HasColumnName("started_at")
            .HasDefaultValueSql("now()")
            .ValueGeneratedOnAdd();
        builder.Property(r => r.FinishedAt).HasColumnName("finished_at");
    }
}
