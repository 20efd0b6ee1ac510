using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>Asks its facade for the schema.</summary>
public class AsksForSchemaContext(DbContextOptions<AsksForSchemaContext> options) : DbContext(options)
{
    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Thing>().ToTable("things_" + Database.GetTenantSchema());
}

/// <summary>Asks its facade for the tenant.</summary>
public class AsksForTenantContext(DbContextOptions<AsksForTenantContext> options) : DbContext(options)
{
    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Thing>().ToTable("things_" + Database.FindTenant()?.Slug);
}

/// <summary>Asks the scope for the tenant.</summary>
public class AsksScopeContext(DbContextOptions<AsksScopeContext> options, ITenantContext current) : DbContext(options)
{
    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Thing>().ToTable("things_" + current.Tenant?.Slug);
}

/// <summary>The well-known recipe: a schema that the constructor keeps, and a key of the application for it.</summary>
public class KeepsSchemaContext(DbContextOptions<KeepsSchemaContext> options, ITenantContext current)
    : DbContext(options)
{
    public string? Schema { get; } = current.Tenant?.Schema.Value;

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.HasDefaultSchema(Schema).Entity<Thing>();

    public sealed class Key : IModelCacheKeyFactory
    {
        public object Create(DbContext context, bool designTime) =>
            (context.GetType(), (context as KeepsSchemaContext)?.Schema, designTime);
    }
}

/// <summary>Maps everything to one tenant's schema, whoever asks.</summary>
public class GlobexContext(DbContextOptions<GlobexContext> options) : DbContext(options)
{
    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.HasDefaultSchema("tenant_globex").Entity<Thing>();
}

/// <summary>Uses its model in the constructor, as contexts do that set their tracking there.</summary>
public class EarlyContext : DbContext
{
    public EarlyContext(DbContextOptions<EarlyContext> options)
        : base(options) => ChangeTracker.QueryTrackingBehavior = QueryTrackingBehavior.NoTracking;

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Thing>().ToTable("things_" + Database.FindTenant()?.Slug);
}

/// <summary>Uses the options of whoever came first.</summary>
public class FirstOptionsContext(DbContextOptions<FirstOptionsContext> options) : DbContext(_first ??= options)
{
    private static DbContextOptions<FirstOptionsContext>? _first;

    protected override void OnModelCreating(ModelBuilder modelBuilder) => modelBuilder.Entity<Thing>();
}
