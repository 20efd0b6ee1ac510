using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Benchmarks.Queries;

namespace NeoCommons.EfCore.Benchmarks.Scale;

/// <summary>A shop with four tables beside its products: all that a tenant's schema has.</summary>
internal abstract class WideContext(DbContextOptions options) : ShopContext(options)
{
    /// <summary>How many tables its model has.</summary>
    public const int Tables = 5;

    /// <summary>Reads a product by its key.</summary>
    public Task ReadAsync() => Set<Product>().AsNoTracking().FirstAsync(p => p.Id == 1);

    /// <summary>Reads all tables, by one statement.</summary>
    public Task MeetAsync() =>
        Set<Product>()
            .Where(p => p.Id == 1)
            .Select(p => new
            {
                p.Name,
                One = Set<More1>().Any(m => m.Id == p.Id),
                Two = Set<More2>().Any(m => m.Id == p.Id),
                Three = Set<More3>().Any(m => m.Id == p.Id),
                Four = Set<More4>().Any(m => m.Id == p.Id),
            })
            .FirstAsync();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        base.OnModelCreating(modelBuilder);
        Map<More1>("more1");
        Map<More2>("more2");
        Map<More3>("more3");
        Map<More4>("more4");

        void Map<TMore>(string table)
            where TMore : More =>
            modelBuilder.Entity<TMore>(more =>
            {
                more.ToTable(table);
                more.Property(m => m.Id).HasColumnName("id");
                more.Property(m => m.Name).HasColumnName("name");
            });
    }

    internal abstract class More
    {
        public int Id { get; set; }

        public string Name { get; set; } = "";
    }

    internal sealed class More1 : More;

    internal sealed class More2 : More;

    internal sealed class More3 : More;

    internal sealed class More4 : More;
}

internal sealed class WideFixedContext(DbContextOptions<WideFixedContext> options) : WideContext(options);

internal sealed class WideSetContext(DbContextOptions<WideSetContext> options) : WideContext(options);

internal sealed class WideSearchPathContext(DbContextOptions<WideSearchPathContext> options) : WideContext(options);

internal sealed class WideQualifiedContext(DbContextOptions<WideQualifiedContext> options) : WideContext(options);

/// <summary>A model for each schema.</summary>
internal sealed class WideModelContext(DbContextOptions<WideModelContext> options) : WideContext(options)
{
    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        base.OnModelCreating(modelBuilder);
        modelBuilder.HasDefaultSchema(Schema);
    }
}
