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

        // ux_migration_runs_running, on md5(migrations), is the migration's own: whoever comes with the same ones joins.
        builder.Property(r => r.Id).HasColumnName("id").HasDefaultValueSql("gen_random_uuid()");
        builder
            .Property(r => r.Status)
            .HasColumnName("status")
            .HasConversion(ColumnText.Of<MigrationRunStatus>(s => s.ToString().ToLowerInvariant()));
        builder.Property(r => r.Target).HasColumnName("target");
        builder.Property(r => r.Migrations).HasColumnName("migrations");
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
