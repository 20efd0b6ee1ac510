using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.Review;

public sealed class ProbeReview(TestServers servers)
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
    public async Task Z08_A_tenant_created_is_found_by_an_old_scope_negative_cache()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        Assert.Null(await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct));
        var acme = await app.CreateTenantAsync("acme");
        Assert.NotNull(await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct));
        Assert.NotNull(await app.Get<ITenantStore>().FindAsync(acme.Id, Ct));
    }

    [Fact]
    public async Task Z09_A_name_too_long_is_refused_before_the_database_says_so()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var e = await Record.ExceptionAsync(() =>
            app.Provisioner.CreateAsync(
                new NewTenant
                {
                    Slug = "acme",
                    Name = new string('x', 201),
                    ConnectionName = "db1",
                },
                Ct
            )
        );
        Assert.True(e is ArgumentException or NeoCommonsException, e?.GetType().Name);
    }
}
