using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>A tenant context like any; it knows nothing of tenants.</summary>
internal sealed class CanaryContext(DbContextOptions<CanaryContext> options) : DbContext(options)
{
    public DbSet<Canary> Canaries => Set<Canary>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Canary>(canary =>
        {
            canary.ToTable(FuzzDatabase.Table);
            canary.Property(c => c.Id).HasColumnName("id");
            canary.Property(c => c.Tenant).HasColumnName("tenant");
            canary.Property(c => c.Writer).HasColumnName("writer");
            canary.Property(c => c.IsSeed).HasColumnName("is_seed");
            canary.Property(c => c.Touched).HasColumnName("touched");
            canary.Property(c => c.Note).HasColumnName("note");
        });
}
