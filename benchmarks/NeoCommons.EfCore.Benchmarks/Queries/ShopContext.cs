using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>A product of a tenant.</summary>
internal class Product
{
    public int Id { get; set; }

    public string Name { get; set; } = "";

    public decimal Price { get; set; }
}

/// <summary>The model that all peers have.</summary>
internal abstract class ShopContext(DbContextOptions options) : DbContext(options)
{
    /// <summary>For the peers that keep the tenant in the context.</summary>
    public string Schema { get; set; } = "";

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Product>(product =>
        {
            product.ToTable("products");
            product.Property(p => p.Id).HasColumnName("id");
            product.Property(p => p.Name).HasColumnName("name");
            product.Property(p => p.Price).HasColumnName("price");
        });
}

internal sealed class FixedContext(DbContextOptions<FixedContext> options) : ShopContext(options);

/// <summary>One schema whose name stands in the SQL, for poolers that keep no path.</summary>
internal sealed class OneSchemaContext(DbContextOptions<OneSchemaContext> options) : ShopContext(options)
{
    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        base.OnModelCreating(modelBuilder);
        modelBuilder.HasDefaultSchema("tenant_t0");
    }
}

internal sealed class SetContext(DbContextOptions<SetContext> options) : ShopContext(options);

internal sealed class SearchPathContext(DbContextOptions<SearchPathContext> options) : ShopContext(options);

internal sealed class QualifiedContext(DbContextOptions<QualifiedContext> options) : ShopContext(options);

/// <summary>A model for each schema.</summary>
internal sealed class ModelContext(DbContextOptions<ModelContext> options) : ShopContext(options)
{
    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        base.OnModelCreating(modelBuilder);
        modelBuilder.HasDefaultSchema(Schema);
    }
}

/// <summary>A row of the table that all tenants share.</summary>
internal sealed class SharedProduct : Product
{
    public int Tenant { get; set; }
}

/// <summary>One table, and a filter by the tenant.</summary>
internal sealed class FilteredContext(DbContextOptions<FilteredContext> options) : DbContext(options)
{
    public int Tenant { get; set; }

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<SharedProduct>(product =>
        {
            // With its schema, for poolers that keep no path.
            product.ToTable("shared_products", "public");
            product.HasKey(p => new { p.Tenant, p.Id });
            product.Property(p => p.Id).UseIdentityByDefaultColumn();
            product.HasQueryFilter("tenant", p => p.Tenant == Tenant);
            product.Property(p => p.Id).HasColumnName("id");
            product.Property(p => p.Tenant).HasColumnName("tenant");
            product.Property(p => p.Name).HasColumnName("name");
            product.Property(p => p.Price).HasColumnName("price");
        });
}
