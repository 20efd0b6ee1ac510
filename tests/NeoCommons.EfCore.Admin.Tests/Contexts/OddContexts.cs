using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using Microsoft.EntityFrameworkCore.Metadata.Conventions;

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

public class HiLoContext(DbContextOptions<HiLoContext> options) : DbContext(options)
{
    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Thing>().Property(t => t.Id).UseHiLo("Numbers");
}

public class TableSchemaContext(DbContextOptions<TableSchemaContext> options) : DbContext(options)
{
    public DbSet<Thing> Things => Set<Thing>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Thing>().ToTable("things", "elsewhere");
}

public class ProcedureContext(DbContextOptions<ProcedureContext> options) : DbContext(options)
{
    public DbSet<Thing> Things => Set<Thing>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder
            .Entity<Thing>()
            .DeleteUsingStoredProcedure("drop_thing", "tenant_globex", p => p.HasOriginalValueParameter(t => t.Id));
}

public class LateSchemaContext(DbContextOptions<LateSchemaContext> options) : DbContext(options)
{
    public DbSet<Thing> Things => Set<Thing>();

    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder) =>
        configurationBuilder.Conventions.Add(_ => new LateSchema());

    private sealed class LateSchema : IModelFinalizingConvention
    {
        public void ProcessModelFinalizing(
            IConventionModelBuilder modelBuilder,
            IConventionContext<IConventionModelBuilder> context
        )
        {
            foreach (var entity in modelBuilder.Metadata.GetEntityTypes())
            {
                entity.SetSchema("tenant_globex");
            }
        }
    }
}

public class ElsewhereContext(DbContextOptions<ElsewhereContext> options) : DbContext(options)
{
    public DbSet<Thing> Things => Set<Thing>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Thing>().ToTable("things", "elsewhere2");
}

public enum Mood
{
    Happy,
    Sad,
}

public class Person
{
    public int Id { get; set; }
    public Mood Mood { get; set; }
}

public class MoodContext(DbContextOptions<MoodContext> options) : DbContext(options)
{
    public DbSet<Person> People => Set<Person>();
}
