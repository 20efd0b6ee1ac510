using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>What a context of one tenant has read is saved by no other tenant's.</summary>
public sealed class SaveGuardTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<string> Attachments => [.. Attaching.Keys];

    private static readonly Dictionary<string, Action<ShopDbContext, Product>> Attaching = new()
    {
        ["update"] = (shop, product) => shop.Update(product),
        ["remove"] = (shop, product) => shop.Remove(product),
        ["attach and change"] = (shop, product) =>
        {
            shop.Attach(product);
            product.Name = "changed";
        },
        ["add"] = (shop, product) => shop.Add(product),
        ["entry"] = (shop, product) => shop.Entry(product).State = EntityState.Modified,
    };

    [Theory]
    [MemberData(nameof(Attachments))]
    public async Task An_entity_that_one_tenant_has_read_is_not_saved_by_another(string attaching)
    {
        await using var app = await StartAsync();
        var ofAcme = await ReadAsync(app, "acme", tracked: attaching == "update");

        await using (var globex = await app.Shop.CreateDbContextAsync("globex", Ct))
        {
            Attaching[attaching](globex, ofAcme);
            var refused = await Assert.ThrowsAsync<TenantIsolationException>(() => globex.SaveChangesAsync(Ct));
            Assert.Equal((await app.Get<ITenantStore>().FindBySlugAsync("globex", Ct))!.Id, refused.ExpectedTenantId);
            Assert.Equal((await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!.Id, refused.ActualTenantId);
            Assert.Throws<TenantIsolationException>(() => globex.SaveChanges());
        }

        Assert.Equal("globex", (await ReadAsync(app, "globex", tracked: false)).Name);
        Assert.Equal("acme", (await ReadAsync(app, "acme", tracked: false)).Name);
    }

    [Theory]
    [InlineData(SchemaBinding.SearchPath, true)]
    [InlineData(SchemaBinding.QualifiedNames, false)]
    public async Task It_holds_for_pooled_contexts_and_either_binding(SchemaBinding binding, bool pooled)
    {
        await using var app = await StartAsync(b =>
            _ = pooled
                ? b.AddPooledTenantDbContext<ShopDbContext>(o => o.UseSchemaBinding(binding))
                : b.AddTenantDbContext<ShopDbContext>(o => o.UseSchemaBinding(binding))
        );
        var ofAcme = await ReadAsync(app, "acme", tracked: true);
        var again = await ReadAsync(app, "globex", tracked: true);

        await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
        again.Name = "globex, changed";
        globex.Update(again);
        Assert.Equal(1, await globex.SaveChangesAsync(Ct));

        globex.ChangeTracker.Clear();
        globex.Update(ofAcme);
        await Assert.ThrowsAsync<TenantIsolationException>(() => globex.SaveChangesAsync(Ct));
    }

    [Fact]
    public async Task It_holds_for_every_way_to_read()
    {
        await using var app = await StartAsync();
        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        acme.Orders.Add(new Order { Customer = "acme", Lines = { new OrderLine { Quantity = 1 } } });
        await acme.SaveChangesAsync(Ct);
        acme.ChangeTracker.Clear();
        await using var reader = await app.Shop.CreateReadOnlyDbContextAsync(
            (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!.Id,
            Ct
        );
        var compiled = EF.CompileAsyncQuery((ShopDbContext shop) => shop.Products.AsNoTracking().First());
        object[] read =
        [
            (await acme.Products.FindAsync([1], Ct))!,
            await acme.Products.FromSqlRaw("SELECT * FROM \"Products\"").AsNoTracking().SingleAsync(Ct),
            await acme.Products.AsNoTrackingWithIdentityResolution().SingleAsync(Ct),
            await compiled(acme),
            await reader.Products.SingleAsync(Ct),
            (await acme.Products.Select(p => new { Product = p, p.Name }).SingleAsync(Ct)).Product,
            (await acme.Orders.Include(o => o.Lines).AsNoTracking().SingleAsync(Ct)).Lines.Single(),
            (await acme.Orders.Include(o => o.Lines).AsSplitQuery().AsNoTracking().SingleAsync(Ct)).Lines.Single(),
        ];

        foreach (var entity in read)
        {
            await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
            globex.Update(entity);
            await Assert.ThrowsAsync<TenantIsolationException>(() => globex.SaveChangesAsync(Ct));
        }
    }

    [Fact]
    public async Task What_a_tenant_has_read_or_nobody_is_saved()
    {
        await using var app = await StartAsync();
        var ofAcme = await ReadAsync(app, "acme", tracked: false);
        await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);

        // From a message, say: an object that no context has made.
        globex.Update(
            new Product
            {
                Id = ofAcme.Id,
                Sku = "1",
                Name = "by message",
                Price = 1,
            }
        );
        Assert.Equal(1, await globex.SaveChangesAsync(Ct));

        ofAcme.Name = "by acme";
        acme.Update(ofAcme);
        Assert.Equal(1, await acme.SaveChangesAsync(Ct));
    }

    [Fact]
    public async Task An_application_may_hand_entities_on_if_it_says_so()
    {
        await using var app = await StartAsync(b =>
            b.AddTenantDbContext<ShopDbContext>(o => o.AllowEntitiesOfOtherTenants())
        );
        var ofAcme = await ReadAsync(app, "acme", tracked: false);
        await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);

        globex.Update(ofAcme);

        Assert.Equal(1, await globex.SaveChangesAsync(Ct));
    }

    [Fact]
    public async Task A_saver_that_may_saves_what_a_guarded_context_has_read()
    {
        await using var app = await StartAsync(b =>
            b.AddTenantDbContext<ShopDbContext>().AddTenantDbContext<AllowingShop>(o => o.AllowEntitiesOfOtherTenants())
        );
        var ofAcme = await ReadAsync(app, "acme", tracked: false);
        await using var globex = await app.Get<ITenantDbContextFactory<AllowingShop>>()
            .CreateDbContextAsync("globex", Ct);

        globex.Update(ofAcme);

        Assert.Equal(1, await globex.SaveChangesAsync(Ct));
    }

    [Fact]
    public async Task Lazy_loading_proxies_are_noted_too()
    {
        await using var app = await StartAsync(b =>
            b.AddTenantDbContext<ShopDbContext>(o =>
                o.UseLazyLoadingProxies(proxies => proxies.IgnoreNonVirtualNavigations())
            )
        );
        var ofAcme = await ReadAsync(app, "acme", tracked: false);
        Assert.NotEqual(typeof(Product), ofAcme.GetType());
        await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);

        globex.Update(ofAcme);

        await Assert.ThrowsAsync<TenantIsolationException>(() => globex.SaveChangesAsync(Ct));
    }

    private Task<TestApp> StartAsync(Action<NeoCommonsBuilder>? configure = null) =>
        TwoTenants.StartAsync(servers.Postgres, configure: configure ?? (b => b.AddTenantDbContext<ShopDbContext>()));

    private static async Task<Product> ReadAsync(TestApp app, string slug, bool tracked)
    {
        await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
        return tracked ? await shop.Products.SingleAsync(Ct) : await shop.Products.AsNoTracking().SingleAsync(Ct);
    }

    private sealed class AllowingShop(DbContextOptions<AllowingShop> options) : DbContext(options)
    {
        public DbSet<Product> Products => Set<Product>();

        protected override void OnModelCreating(ModelBuilder modelBuilder) =>
            modelBuilder.Entity<Product>().ToTable("Products", table => table.ExcludeFromMigrations());
    }
}
