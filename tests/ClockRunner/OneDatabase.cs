using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore;

namespace ClockRunner;

/// <summary>A registry of one database and two tenants: who has just written does not read at a standby.</summary>
internal sealed class OneDatabase(DatabaseConnection row) : IConnectionRegistry, ITenantStore
{
    public Tenant Writer { get; } = NewTenant("writer", row);

    public Tenant Reader { get; } = NewTenant("reader", row);

    private Tenant[] All => [Writer, Reader];

    public ValueTask<DatabaseConnection?> FindAsync(string name, CancellationToken ct = default) =>
        ValueTask.FromResult(name == row.Name ? row : null);

    async ValueTask<IReadOnlyList<DatabaseConnection>> IConnectionRegistry.ListAsync(CancellationToken ct) => [row];

    public ValueTask<Tenant?> FindAsync(TenantId id, CancellationToken ct = default) =>
        ValueTask.FromResult(All.FirstOrDefault(tenant => tenant.Id == id));

    public ValueTask<Tenant?> FindBySlugAsync(string slug, CancellationToken ct = default) =>
        ValueTask.FromResult(All.FirstOrDefault(tenant => tenant.Slug == slug));

    IAsyncEnumerable<Tenant> ITenantStore.ListAsync(CancellationToken ct) => All.ToAsyncEnumerable();

    private static Tenant NewTenant(string slug, DatabaseConnection row) =>
        new()
        {
            Id = new TenantId(Guid.NewGuid()),
            Slug = slug,
            Name = slug,
            Schema = SchemaName.Parse("tenant_" + slug),
            ConnectionName = row.Name,
        };
}

/// <summary>A row for each write.</summary>
public sealed class Counter
{
    public int Id { get; set; }
}

/// <summary>Counts writes.</summary>
public sealed class CounterContext(DbContextOptions<CounterContext> options) : DbContext(options)
{
    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Counter>().ToTable("counter");
}
