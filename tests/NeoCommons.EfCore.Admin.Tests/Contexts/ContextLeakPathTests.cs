using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>
/// Ways by which what belongs to one tenant's context could serve another's: each ends in an exception or at the right
/// tenant. Those of sessions are in <see cref="LeakPathTests"/>.
/// </summary>
public sealed class ContextLeakPathTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_save_that_fails_inside_a_transaction_leaves_the_tenant_where_it_was(bool ownSavepoint)
    {
        await using var app = await StartAsync();
        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        await using (var transaction = await acme.Database.BeginTransactionAsync(Ct))
        {
            if (ownSavepoint)
            {
                await transaction.CreateSavepointAsync("mine", Ct);
            }

            acme.Products.Add(New("1", "twice"));
            await Assert.ThrowsAsync<DbUpdateException>(() => acme.SaveChangesAsync(Ct));
            if (ownSavepoint)
            {
                await transaction.RollbackToSavepointAsync("mine", Ct);
            }

            acme.ChangeTracker.Clear();
            acme.Products.Add(New("2", "acme"));
            await acme.SaveChangesAsync(Ct);
            Assert.All(await acme.Products.AsNoTracking().ToListAsync(Ct), p => Assert.Equal("acme", p.Name));
            await transaction.CommitAsync(Ct);
        }

        Assert.Equal(2, await acme.Products.CountAsync(Ct));
        Assert.Equal(1L, await app.DirectAsync("db1", "SELECT count(*) FROM tenant_globex.\"Products\""));
    }

    [Fact]
    public async Task An_open_connection_of_one_tenants_context_serves_no_other_context()
    {
        await using var app = await StartAsync();
        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        await acme.Database.OpenConnectionAsync(Ct);
        await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
        globex.Database.SetDbConnection(acme.Database.GetDbConnection());

        await Assert.ThrowsAsync<TenantIsolationException>(() => globex.Products.ToListAsync(Ct));
        Assert.Throws<TenantIsolationException>(() => globex.Products.ToList());
        await Assert.ThrowsAsync<TenantIsolationException>(() => globex.Products.ExecuteDeleteAsync(Ct));
        Assert.Equal("acme", (await acme.Products.SingleAsync(Ct)).Name);
    }

    [Fact]
    public async Task A_function_that_tenants_share_works_in_its_callers_schema()
    {
        await using var app = await StartAsync(
            settings: new Dictionary<string, string?> { ["NeoCommons:Connections:SharedSchemas:0"] = "common" }
        );
        await app.DirectAsync("db1", "CREATE SCHEMA common");
        await app.DirectAsync(
            "db1",
            "CREATE FUNCTION common.names() RETURNS SETOF text LANGUAGE plpgsql AS "
                + "$$ BEGIN RETURN QUERY SELECT \"Name\" FROM \"Products\"; END $$"
        );

        foreach (var slug in new[] { "acme", "globex", "acme" })
        {
            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            Assert.Equal(
                [slug],
                await shop.Database.SqlQueryRaw<string>("SELECT names AS \"Value\" FROM names()").ToListAsync(Ct)
            );
        }
    }

    [Fact]
    public async Task What_EF_compiled_once_reads_the_tenant_of_the_context_it_is_given()
    {
        await using var app = await StartAsync();
        var compiled = EF.CompileAsyncQuery((ShopDbContext shop) => shop.Products.Single(p => p.Sku == "1"));

        foreach (var slug in new[] { "acme", "globex", "acme" })
        {
            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            Assert.Equal(slug, (await compiled(shop)).Name);
        }
    }

    [Fact]
    public async Task A_slug_that_went_to_another_tenant_leads_to_that_tenants_schema()
    {
        await using var app = await StartAsync();
        await using (var before = await app.Shop.CreateDbContextAsync("acme", Ct))
        {
            Assert.Equal("acme", (await before.Products.SingleAsync(Ct)).Name);
        }

        await app.AdminAsync("UPDATE admin.tenants SET slug = 'old-acme' WHERE slug = 'acme'");
        await app.AdminAsync("UPDATE admin.tenants SET slug = 'acme' WHERE slug = 'globex'");
        await app.ReloadAsync();

        await using var after = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Equal("globex", (await after.Products.SingleAsync(Ct)).Name);
    }

    private static Product New(string sku, string name) =>
        new()
        {
            Sku = sku,
            Name = name,
            Price = 1,
        };

    private Task<TestApp> StartAsync(IReadOnlyDictionary<string, string?>? settings = null) =>
        TwoTenants.StartOnOneConnectionAsync(servers.Postgres, settings: settings);
}
