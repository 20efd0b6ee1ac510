using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace NeoCommons.EfCore.Admin;

internal sealed class TenantEventMapping : IEntityTypeConfiguration<TenantEventEntity>
{
    public void Configure(EntityTypeBuilder<TenantEventEntity> builder)
    {
        builder.ToTable(
            "tenant_events",
            table => table.HasCheckConstraint("ck_tenant_events_details", "jsonb_typeof(details) = 'object'")
        );
        builder.HasKey(e => e.Id).HasName("pk_tenant_events");
        builder.HasIndex(e => new { e.TenantId, e.Id }).HasDatabaseName("ix_tenant_events_tenant_id");
        builder.Property(e => e.Id).HasColumnName("id").UseIdentityAlwaysColumn();
        builder.Property(e => e.TenantId).HasColumnName("tenant_id");
        builder.Property(e => e.Slug).HasColumnName("slug");
        builder.Property(e => e.Action).HasColumnName("action");
        builder.Property(e => e.Actor).HasColumnName("actor");
        builder.Property(e => e.At).HasColumnName("at").HasDefaultValueSql("now()").ValueGeneratedOnAdd();
        builder.Property(e => e.Details).HasColumnName("details").HasColumnType("jsonb").HasDefaultValueSql("'{}'");
    }
}
