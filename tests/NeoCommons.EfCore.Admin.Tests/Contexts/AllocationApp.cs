using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>Tenants with pooled contexts, and beside them EF's own pooled factory on one fixed schema with the same rows.</summary>
internal sealed class AllocationApp(TestApp app, NpgsqlDataSource source, Func<ShopDbContext> plain) : IAsyncDisposable
{
    /// <summary>How many products each schema has.</summary>
    public const int Rows = 60;

    public Func<ShopDbContext> Plain => plain;

    /// <summary>What is done with a context: as many round trips as it takes EF, how often it is measured, and what it is.</summary>
    public static IReadOnlyDictionary<
        string,
        (int RoundTrips, int Times, Action<ShopDbContext> Use)
    > Operations { get; } =
        new Dictionary<string, (int, int, Action<ShopDbContext>)>
        {
            ["point read"] = (1, 200, shop => Assert.NotNull(shop.Products.AsNoTracking().First(p => p.Id == 7))),
            ["list of 50"] = (
                1,
                80,
                shop => Assert.Equal(50, shop.Products.AsNoTracking().OrderBy(p => p.Id).Take(50).ToList().Count)
            ),
            ["insert of 1"] = (1, 200, shop => Insert(shop, 1)),
            ["insert of 100"] = (2, 20, shop => Insert(shop, 100)),
            ["transaction of 3"] = (
                6,
                80,
                shop =>
                {
                    using var transaction = shop.Database.BeginTransaction();
                    var product = shop.Products.First(p => p.Id == 7);
                    product.Price++;
                    shop.SaveChanges();
                    Assert.Equal(7, shop.Products.AsNoTracking().Count(p => p.Id <= 7));
                    transaction.Commit();
                }
            ),
            ["request of 2 reads and 1 write"] = (
                3,
                80,
                shop =>
                {
                    var product = shop.Products.First(p => p.Id == 7);
                    var page = shop.Products.AsNoTracking().Where(p => p.Id > 7).OrderBy(p => p.Id).Take(20);
                    Assert.Equal(20, page.ToList().Count);
                    product.Price++;
                    shop.SaveChanges();
                }
            ),
        };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>Starts it with tenant acme, and as many more as are wanted: <c>t1</c>, <c>t2</c>, ...</summary>
    public static async Task<AllocationApp> StartAsync(
        PostgresServer server,
        SchemaBinding binding,
        SessionReset reset = SessionReset.Always,
        int more = 0
    )
    {
        var app = await TwoTenants.StartAsync(
            server,
            settings: new Dictionary<string, string?> { ["NeoCommons:Connections:SessionReset"] = reset.ToString() },
            configure: b => b.AddPooledTenantDbContext<ShopDbContext>(o => o.UseSchemaBinding(binding))
        );
        foreach (var schema in new[] { "tenant_acme", "tenant_globex" })
        {
            await app.DirectAsync(
                "db1",
                $"INSERT INTO {schema}.\"Products\" (\"Sku\", \"Name\", \"Price\") SELECT 'more ' || i, 'more', i FROM generate_series(2, {Rows}) i"
            );
        }

        await CopyAsync(app, more);
        var database = (string)
            (
                await app.AdminAsync(
                    "SELECT database_name FROM admin.database_connections WHERE connection_name = 'db1'"
                )
            )!;
        var source = NpgsqlDataSource.Create(server.GetConnectionString(database) + ";Search Path=tenant_acme");
        var options = new DbContextOptionsBuilder<ShopDbContext>().UseNpgsql(source);
        if (binding == SchemaBinding.QualifiedNames)
        {
            await app.DirectAsync("db1", CopyTo(NamedContext.Schema));
            await using var named = new NamedContext(options.Options);
            options.UseModel(named.Model);
        }

        return new(app, source, new PooledDbContextFactory<ShopDbContext>(options.Options).CreateDbContext);
    }

    /// <summary>The tenants, all of which are in memory from then on: contexts are made synchronously.</summary>
    public async Task<IReadOnlyList<TenantId>> ListAsync()
    {
        var all = await app.Get<ITenantStore>().ListAsync(Ct).Select(t => t.Id).ToListAsync(Ct);
        foreach (var tenant in all)
        {
            await using var shop = await app.Shop.CreateDbContextAsync(tenant, Ct);
        }

        return all;
    }

    public async Task<TenantId> AcmeAsync() => (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!.Id;

    public ShopDbContext Create(TenantId tenant) => app.Shop.CreateDbContextAsync(tenant, Ct).Result;

    public ValueTask<ShopDbContext> CreateAsync(TenantId tenant) => app.Shop.CreateDbContextAsync(tenant, Ct);

    /// <summary>What using a context allocates: synchronously, so that all of it happens on this thread.</summary>
    public static long Measure(Func<ShopDbContext> create, Action<ShopDbContext> use)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        using (var shop = create())
        {
            use(shop);
        }

        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    public async ValueTask DisposeAsync()
    {
        await source.DisposeAsync();
        await app.DisposeAsync();
    }

    private static void Insert(ShopDbContext shop, int rows)
    {
        for (var i = 0; i < rows; i++)
        {
            shop.Orders.Add(new Order { Customer = "somebody" });
        }

        Assert.Equal(rows, shop.SaveChanges());
    }

    // Few in one transaction, which takes locks for each.
    private static async Task CopyAsync(TestApp app, int tenants)
    {
        foreach (var some in Enumerable.Range(1, tenants).Chunk(50))
        {
            await app.DirectAsync("db1", string.Concat(some.Select(i => CopyTo($"tenant_t{i}"))));
        }

        await PartsApp.AddRowsAsync(app, tenants);
        await app.ReloadAsync();
    }

    private static string CopyTo(string schema) =>
        $"""
            CREATE SCHEMA {schema};
            CREATE TABLE {schema}."Products" (LIKE tenant_acme."Products" INCLUDING ALL);
            CREATE TABLE {schema}."Orders" (LIKE tenant_acme."Orders" INCLUDING ALL);
            INSERT INTO {schema}."Products" SELECT * FROM tenant_acme."Products";

            """;

    /// <summary>EF writes the SQL of an insert anew each time: here as long as with the schema's placeholder.</summary>
    private sealed class NamedContext(DbContextOptions<ShopDbContext> options) : ShopDbContext(options)
    {
        public static readonly string Schema = "acme".PadRight($"\"{SchemaName.Placeholder}\"".Length, '_');

        protected override void OnModelCreating(ModelBuilder modelBuilder)
        {
            base.OnModelCreating(modelBuilder);
            modelBuilder.HasDefaultSchema(Schema);
        }
    }
}
