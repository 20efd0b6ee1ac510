using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

public class CountedContext(DbContextOptions<CountedContext> options) : DbContext(options)
{
    private static int _modelsBuilt;

    public static int ModelsBuilt => Volatile.Read(ref _modelsBuilt);

    protected override void OnModelCreating(ModelBuilder modelBuilder) => Interlocked.Increment(ref _modelsBuilt);
}

public class Thing
{
    public int Id { get; set; }
}

public class DefaultSchemaContext(DbContextOptions<DefaultSchemaContext> options) : DbContext(options)
{
    public DbSet<Thing> Things => Set<Thing>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) => modelBuilder.HasDefaultSchema("public");
}

public class TableSchemaContext(DbContextOptions<TableSchemaContext> options) : DbContext(options)
{
    public DbSet<Thing> Things => Set<Thing>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Thing>().ToTable("things", "elsewhere");
}
