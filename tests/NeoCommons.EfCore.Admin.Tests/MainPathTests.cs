using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests;

public sealed class MainPathTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Two_tenants_on_two_databases_keep_their_rows_to_themselves()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        var acme = await app.CreateTenantAsync("acme", "db1");
        var globex = await app.CreateTenantAsync("globex", "db1");
        var initech = await app.CreateTenantAsync("initech", "db2");

        foreach (var tenant in new[] { acme, globex, initech })
        {
            await using var shop = await app.Shop.CreateDbContextAsync(tenant.Id, Ct);
            shop.Products.Add(
                new Product
                {
                    Sku = "A-1",
                    Name = tenant.Slug,
                    Price = 1,
                }
            );
            await shop.SaveChangesAsync(Ct);
        }

        foreach (var tenant in new[] { acme, globex, initech })
        {
            await using var shop = await app.Shop.CreateDbContextAsync(tenant.Slug, Ct);
            Assert.Equal(tenant.Slug, (await shop.Products.SingleAsync(Ct)).Name);
        }
    }
}
