using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace NeoCommons.EfCore.Admin;

internal sealed class WarmSchemaMapping : IEntityTypeConfiguration<WarmSchemaEntity>
{
    public void Configure(EntityTypeBuilder<WarmSchemaEntity> builder)
    {
        builder.ToTable(
            "warm_schemas",
            table => table.HasCheckConstraint("ck_warm_schemas_schema_name", TenantMapping.SchemaRule)
        );
        builder.HasKey(s => s.Id).HasName("pk_warm_schemas");
        builder
            .HasIndex(s => new { s.ConnectionId, s.SchemaName })
            .IsUnique()
            .HasDatabaseName("ux_warm_schemas_connection_id_schema_name");
        builder
            .HasOne(s => s.Connection)
            .WithMany()
            .HasForeignKey(s => s.ConnectionId)
            .OnDelete(DeleteBehavior.Restrict)
            .HasConstraintName("fk_warm_schemas_database_connections");
        builder.Property(s => s.Id).HasColumnName("id").HasDefaultValueSql("gen_random_uuid()");
        builder.Property(s => s.ConnectionId).HasColumnName("connection_id");
        builder.Property(s => s.TenantType).HasColumnName("tenant_type");
        builder.Property(s => s.SchemaName).HasColumnName("schema_name");
        builder.Property(s => s.SchemaVersion).HasColumnName("schema_version");
        builder
            .Property(s => s.CreatedAt)
            .HasColumnName("created_at")
            .HasDefaultValueSql("now()")
            .ValueGeneratedOnAdd();
    }
}
