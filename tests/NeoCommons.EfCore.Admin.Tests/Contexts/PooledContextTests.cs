using System.Data;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>Contexts that go from tenant to tenant: nothing of a lease is there in the next.</summary>
public sealed class PooledContextTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Nothing_of_a_lease_survives_its_end(bool async)
    {
        await using var app = await StartAsync();
        var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        var kept = acme.Database.GetDbConnection();
        acme.Database.SetCommandTimeout(7);
        acme.ChangeTracker.AutoDetectChangesEnabled = false;
        acme.ChangeTracker.QueryTrackingBehavior = QueryTrackingBehavior.NoTracking;
        acme.SavingChanges += (_, _) => throw new ArithmeticException("left behind");
        await acme.Database.OpenConnectionAsync(Ct);
        await acme.Database.OpenConnectionAsync(Ct);
        await acme.Database.BeginTransactionAsync(Ct);
        acme.Products.Add(NewProduct("never saved"));
        await EndAsync(acme, async);

        await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);

        Assert.Same(acme, globex); // else this test shows nothing
        Assert.Empty(globex.ChangeTracker.Entries());
        Assert.Null(globex.Database.GetCommandTimeout());
        Assert.Null(globex.Database.CurrentTransaction);
        Assert.True(globex.ChangeTracker.AutoDetectChangesEnabled);
        Assert.Equal(QueryTrackingBehavior.TrackAll, globex.ChangeTracker.QueryTrackingBehavior);
        Assert.NotSame(kept, globex.Database.GetDbConnection());
        Assert.NotEqual(ConnectionState.Open, kept.State);
        globex.Products.Add(NewProduct("globex"));
        await globex.SaveChangesAsync(Ct);
        Assert.All(await globex.Products.ToListAsync(Ct), p => Assert.Equal("globex", p.Name));

        // Opened once and twice before: one that forgot to count anew would stay open after each command.
        Assert.Equal(ConnectionState.Closed, globex.Database.GetDbConnection().State);
    }

    [Fact]
    public async Task A_read_only_lease_and_a_writing_one_do_not_mix()
    {
        await using var app = await StartAsync();
        var id = (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!.Id;
        for (var i = 0; i < 3; i++)
        {
            await using (var reading = await app.Shop.CreateReadOnlyDbContextAsync(id, Ct))
            {
                Assert.Equal(QueryTrackingBehavior.NoTracking, reading.ChangeTracker.QueryTrackingBehavior);
                reading.Products.Add(NewProduct("x"));
                await Assert.ThrowsAsync<InvalidOperationException>(() => reading.SaveChangesAsync(Ct));
            }

            await using var writing = await app.Shop.CreateDbContextAsync("globex", Ct);
            writing.Products.Add(NewProduct("globex"));
            Assert.Equal(1, await writing.SaveChangesAsync(Ct));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_context_that_lies_in_the_pool_cannot_be_used(bool async)
    {
        await using var app = await StartAsync();
        var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        await EndAsync(acme, async);

        await Assert.ThrowsAsync<ObjectDisposedException>(() => acme.Products.ToListAsync(Ct));
        Assert.Throws<ObjectDisposedException>(() => acme.Products.Count());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => acme.Database.OpenConnectionAsync(Ct));
    }

    [Fact]
    public async Task A_context_from_the_pool_without_a_tenant_executes_nothing()
    {
        await using var app = await StartAsync();
        var pool = new PooledDbContextFactory<ShopDbContext>(app.Get<DbContextOptions<ShopDbContext>>());
        await using var unbound = await pool.CreateDbContextAsync(Ct);

        await Assert.ThrowsAsync<TenantIsolationException>(() => unbound.Products.ToListAsync(Ct));
        Assert.Throws<TenantIsolationException>(() => unbound.Products.Count());
        await Assert.ThrowsAsync<TenantIsolationException>(() => unbound.Database.OpenConnectionAsync(Ct));
    }

    [Fact]
    public async Task A_tenant_that_is_not_found_takes_nothing_from_the_pool()
    {
        await using var app = await StartAsync();
        await Assert.ThrowsAsync<TenantNotFoundException>(async () =>
            await app.Shop.CreateDbContextAsync("nobody", Ct)
        );
        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Equal("acme", (await acme.Products.SingleAsync(Ct)).Name);
    }

    [Fact]
    public async Task The_current_tenants_context_comes_from_the_pool_too()
    {
        await using var app = await StartAsync();
        foreach (var slug in new[] { "acme", "globex", "acme" })
        {
            var id = (await app.Get<ITenantStore>().FindBySlugAsync(slug, Ct))!.Id;
            await using var scope = await app.Services.CreateTenantScopeAsync(id, Ct);
            var shop = scope.ServiceProvider.GetRequiredService<ShopDbContext>();
            Assert.Equal(slug, (await shop.Products.SingleAsync(Ct)).Name);
        }
    }

    [Fact]
    public async Task Many_leases_side_by_side_each_see_their_own_tenant()
    {
        await using var app = await StartAsync();
        var seen = new HashSet<ShopDbContext>();
        await Parallel.ForEachAsync(
            Enumerable.Range(0, 2_000),
            new ParallelOptions { MaxDegreeOfParallelism = 16, CancellationToken = Ct },
            async (i, ct) =>
            {
                var slug = i % 3 == 0 ? "acme" : "globex";
                await using var shop = await app.Shop.CreateDbContextAsync(slug, ct);
                Assert.Equal(slug, (await shop.Products.SingleAsync(ct)).Name);
                lock (seen)
                {
                    seen.Add(shop);
                }
            }
        );
        Assert.InRange(seen.Count, 1, 64);
    }

    [Theory]
    [InlineData(SessionReset.Always)]
    [InlineData(SessionReset.WhenUsed)]
    public async Task A_connection_kept_from_a_returned_context_is_closed_for_good(SessionReset reset)
    {
        await using var app = await TwoTenants.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?> { ["NeoCommons:Connections:SessionReset"] = reset.ToString() },
            configure: b => b.AddPooledTenantDbContext<ShopDbContext>()
        );
        System.Data.Common.DbConnection kept;
        await using (var acme = await app.Shop.CreateDbContextAsync("acme", Ct))
        {
            kept = acme.Database.GetDbConnection();
            Assert.Equal("acme", (await acme.Products.SingleAsync(Ct)).Name);
        }

        await Assert.ThrowsAsync<ObjectDisposedException>(() => kept.OpenAsync(Ct));
        await using var again = await app.Shop.CreateDbContextAsync("globex", Ct);
        Assert.Equal("globex", (await again.Products.SingleAsync(Ct)).Name);
    }

    [Fact]
    public void A_pool_without_room_is_refused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            new ServiceCollection()
                .AddNeoCommons(new Microsoft.Extensions.Configuration.ConfigurationManager())
                .AddPooledTenantDbContext<ShopDbContext>(poolSize: 0)
        );

    private static Product NewProduct(string name) =>
        new()
        {
            Sku = Guid.NewGuid().ToString(),
            Name = name,
            Price = 1,
        };

    private static async Task EndAsync(ShopDbContext context, bool async)
    {
        if (async)
        {
            await context.DisposeAsync();
        }
        else
        {
            context.Dispose();
        }
    }

    private Task<TestApp> StartAsync() =>
        TwoTenants.StartAsync(servers.Postgres, configure: b => b.AddPooledTenantDbContext<ShopDbContext>());
}
