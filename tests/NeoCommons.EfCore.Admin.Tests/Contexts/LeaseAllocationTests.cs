using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>What a lease costs in memory, against EF's own pooled factory on one fixed schema.</summary>
public sealed class LeaseAllocationTests(TestServers servers)
{
    private const int Leases = 5_000;

    private const int Budget = 512;
    private const int Rows = 50;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(SchemaBinding.SearchPath, SessionReset.Always)]
    [InlineData(SchemaBinding.SearchPath, SessionReset.WhenUsed)]
    [InlineData(SchemaBinding.QualifiedNames, SessionReset.Always)]
    [InlineData(SchemaBinding.QualifiedNames, SessionReset.WhenUsed)]
    public Task A_lease_that_reads_allocates_little_more_than_one_of_EFs_own_pool(
        SchemaBinding binding,
        SessionReset reset
    ) => CompareAsync(binding, reset, shop => Assert.Equal("acme", shop.Products.AsNoTracking().Single().Name));

    [Theory]
    [InlineData(SchemaBinding.SearchPath, SessionReset.Always)]
    [InlineData(SchemaBinding.SearchPath, SessionReset.WhenUsed)]
    [InlineData(SchemaBinding.QualifiedNames, SessionReset.Always)]
    [InlineData(SchemaBinding.QualifiedNames, SessionReset.WhenUsed)]
    public Task A_lease_that_inserts_allocates_little_more_than_one_of_EFs_own_pool(
        SchemaBinding binding,
        SessionReset reset
    ) =>
        CompareAsync(
            binding,
            reset,
            shop =>
            {
                shop.Orders.Add(new Order { Customer = "somebody" });
                Assert.Equal(1, shop.SaveChanges());
            }
        );

    [Theory]
    [InlineData(QueryTrackingBehavior.NoTracking)]
    [InlineData(QueryTrackingBehavior.TrackAll)]
    public async Task To_note_whose_an_entity_is_allocates_nothing(QueryTrackingBehavior tracking)
    {
        await using var noting = await StartAsync(_ => { });
        await using var other = await StartAsync(o => o.AllowEntitiesOfOtherTenants());
        var (with, without) = (long.MaxValue, long.MaxValue);
        for (var i = 0; i < Leases / 10 || (with - without >= Rows && i < Leases); i++)
        {
            with = Math.Min(with, Read(noting));
            without = Math.Min(without, Read(other));
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{tracking}: {with} bytes with the guard, {without} without");

        // For the query, whatever the number of its entities.
        Assert.InRange(with - without, long.MinValue, Rows - 1);

        long Read(TestApp app)
        {
            using var shop = app.Shop.CreateDbContextAsync("acme", Ct).Result;
            var before = GC.GetAllocatedBytesForCurrentThread();
            Assert.Equal(Rows + 1, shop.Products.AsTracking(tracking).ToList().Count);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    private async Task CompareAsync(SchemaBinding binding, SessionReset reset, Action<ShopDbContext> use)
    {
        await using var app = await TwoTenants.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?> { ["NeoCommons:Connections:SessionReset"] = reset.ToString() },
            configure: b => b.AddPooledTenantDbContext<ShopDbContext>(o => o.UseSchemaBinding(binding))
        );
        var acme = (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!.Id;
        var database = (string)
            (
                await app.AdminAsync(
                    "SELECT database_name FROM admin.database_connections WHERE connection_name = 'db1'"
                )
            )!;
        await using var source = NpgsqlDataSource.Create(
            servers.Postgres.GetConnectionString(database) + ";Search Path=tenant_acme"
        );
        var options = new DbContextOptionsBuilder<ShopDbContext>().UseNpgsql(source);
        if (binding == SchemaBinding.QualifiedNames)
        {
            await app.DirectAsync("db1", NamedContext.Copy);
            await using var named = new NamedContext(options.Options);
            options.UseModel(named.Model);
        }

        var plain = new PooledDbContextFactory<ShopDbContext>(options.Options);

        // From then on the tenant is in memory, and a context is made synchronously.
        await using (await app.Shop.CreateDbContextAsync(acme, Ct)) { }

        // The least of many, in turn: a socket that has to wait for its answer allocates, and so does code that is not
        // optimised yet.
        var (ofEf, ours) = (long.MaxValue, long.MaxValue);
        for (var i = 0; i < Leases || (ours - ofEf > Budget && i < 10 * Leases); i++)
        {
            ofEf = Math.Min(ofEf, Measure(plain.CreateDbContext, use));
            ours = Math.Min(ours, Measure(() => app.Shop.CreateDbContextAsync(acme, Ct).Result, use));
        }

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{binding}, {reset}: EF {ofEf} bytes, a tenant's {ours} bytes a lease"
        );
        Assert.InRange(ours - ofEf, long.MinValue, Budget);
    }

    private async Task<TestApp> StartAsync(Action<DbContextOptionsBuilder> configure)
    {
        var app = await TwoTenants.StartAsync(
            servers.Postgres,
            configure: b => b.AddPooledTenantDbContext<ShopDbContext>(configure)
        );
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        for (var i = 0; i < Rows; i++)
        {
            shop.Products.Add(
                new Product
                {
                    Sku = $"many {i}",
                    Name = "acme",
                    Price = i,
                }
            );
        }

        await shop.SaveChangesAsync(Ct);
        return app;
    }

    // Synchronous, so that all of it happens on this thread.
    private static long Measure(Func<ShopDbContext> create, Action<ShopDbContext> use)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        using (var shop = create())
        {
            use(shop);
        }

        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    /// <summary>EF writes the SQL of an insert anew each time: here as long as with the schema's placeholder.</summary>
    private sealed class NamedContext(DbContextOptions<ShopDbContext> options) : ShopDbContext(options)
    {
        private static readonly string Schema = "acme".PadRight($"\"{SchemaName.Placeholder}\"".Length, '_');

        public static string Copy =>
            $"""
                CREATE SCHEMA {Schema};
                CREATE TABLE {Schema}."Products" (LIKE tenant_acme."Products" INCLUDING ALL);
                CREATE TABLE {Schema}."Orders" (LIKE tenant_acme."Orders" INCLUDING ALL);
                INSERT INTO {Schema}."Products" SELECT * FROM tenant_acme."Products"
                """;

        protected override void OnModelCreating(ModelBuilder modelBuilder)
        {
            base.OnModelCreating(modelBuilder);
            modelBuilder.HasDefaultSchema(Schema);
        }
    }
}
