using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace NeoCommons.EfCore.Admin;

internal sealed class ServerLeaseMapping : IEntityTypeConfiguration<ServerLeaseEntity>
{
    public void Configure(EntityTypeBuilder<ServerLeaseEntity> builder)
    {
        builder.ToTable(
            "server_leases",
            table => table.HasCheckConstraint("ck_server_leases_connections", "connections >= 0 AND wanted >= 0")
        );
        builder.HasKey(l => new { l.Server, l.ProcessId }).HasName("pk_server_leases");
        builder.Property(l => l.Server).HasColumnName("server");
        builder.Property(l => l.ProcessId).HasColumnName("process_id");
        builder.Property(l => l.Connections).HasColumnName("connections");
        builder.Property(l => l.Wanted).HasColumnName("wanted");
        builder.Property(l => l.ExpiresAt).HasColumnName("expires_at");
    }
}
