using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

public sealed class NewTenantTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private async Task<TestApp> StartAsync(Action<NeoCommonsBuilder>? configure = null)
    {
        var app = await TestApp.StartAsync(servers.Postgres, configure: configure);
        foreach (var slug in new[] { "acme", "globex" })
        {
            await app.CreateTenantAsync(slug);
            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            shop.Products.Add(
                new Product
                {
                    Sku = "1",
                    Name = slug,
                    Price = 1,
                }
            );
            await shop.SaveChangesAsync(Ct);
        }

        return app;
    }

    [Fact]
    public async Task A_tenant_that_was_asked_for_too_early_is_found_when_it_is_created()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        Assert.Null(await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct));
        var acme = await app.CreateTenantAsync("acme");
        Assert.NotNull(await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct));
        Assert.NotNull(await app.Get<ITenantStore>().FindAsync(acme.Id, Ct));
    }
}
