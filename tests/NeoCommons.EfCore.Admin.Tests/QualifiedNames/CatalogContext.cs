using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;

namespace NeoCommons.EfCore.Admin.Tests.QualifiedNames;

/// <summary>A tenant context with one of everything that SQL can name a schema of.</summary>
public class CatalogContext(DbContextOptions<CatalogContext> options) : DbContext(options)
{
    private static int _modelsBuilt;

    public static int ModelsBuilt => Volatile.Read(ref _modelsBuilt);

    public DbSet<Item> Items => Set<Item>();

    public DbSet<Tag> Tags => Set<Tag>();

    public DbSet<ItemTotal> Totals => Set<ItemTotal>();

    public static long Doubled(long n) => throw new NotSupportedException();

    public IQueryable<Item> NamedLike(string pattern) => FromExpression(() => NamedLike(pattern));

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        Interlocked.Increment(ref _modelsBuilt);
        modelBuilder.HasSequence<long>("ItemNumbers");
        modelBuilder.Entity<Item>(item =>
        {
            item.ToTable("items").Property(i => i.Id).UseSequence("ItemNumbers");
            item.OwnsOne(i => i.Size);
            item.OwnsMany(i => i.Notes, note => note.ToTable("item_notes"));
            item.HasMany(i => i.Tags).WithMany(t => t.Items).UsingEntity("item_tags");
        });
        modelBuilder.Entity<Tag>().ToTable("tags");
        modelBuilder.Entity<ItemTotal>().HasNoKey().ToView("item_totals");
        modelBuilder.HasDbFunction(() => Doubled(0)).HasName("doubled");
        modelBuilder.HasDbFunction(() => NamedLike("")).HasName("named_like");
    }
}

public class Item
{
    public long Id { get; set; }
    public required string Name { get; set; }
    public required Size Size { get; set; }
    public List<Note> Notes { get; } = [];
    public List<Tag> Tags { get; } = [];
}

public class Size
{
    public int Width { get; set; }
}

public class Note
{
    public int Id { get; set; }
    public required string Text { get; set; }
}

public class Tag
{
    public int Id { get; set; }
    public required string Name { get; set; }
    public List<Item> Items { get; } = [];
}

public class ItemTotal
{
    public required string Name { get; set; }
    public long Total { get; set; }
}

public sealed class CatalogDesignTimeFactory : IDesignTimeDbContextFactory<CatalogContext>
{
    public CatalogContext CreateDbContext(string[] args) =>
        new(
            new DbContextOptionsBuilder<CatalogContext>()
                .UseNpgsql()
                .UseSchemaBinding(SchemaBinding.QualifiedNames)
                .Options
        );
}
