using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>As <see cref="ItemsContext"/>, for a pool of contexts.</summary>
internal sealed class PooledItemsContext(DbContextOptions<PooledItemsContext> options) : DbContext(options)
{
    public DbSet<Item> Items => Set<Item>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Item>(item =>
        {
            item.ToTable("items");
            item.Property(i => i.Id).HasColumnName("id").ValueGeneratedNever();
            item.Property(i => i.Owner).HasColumnName("owner");
        });
}
