using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>A tenant context over the table that <see cref="RuntimeApp.AddTenantAsync"/> creates.</summary>
internal sealed class ItemsContext(DbContextOptions<ItemsContext> options) : DbContext(options)
{
    public DbSet<Item> Items => Set<Item>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Item>(item =>
        {
            item.ToTable("items");
            item.Property(i => i.Id).HasColumnName("id");
            item.Property(i => i.Owner).HasColumnName("owner");
        });
}
