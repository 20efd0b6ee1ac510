using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>An application with tenants acme and globex in one database, each with a product named like itself.</summary>
internal static class TwoTenants
{
    public static async Task<TestApp> StartAsync(
        PostgresServer server,
        int databases = 1,
        IReadOnlyDictionary<string, string?>? settings = null,
        Action<NeoCommonsBuilder>? configure = null
    )
    {
        var app = await TestApp.StartAsync(server, databases, settings, configure);
        foreach (var slug in new[] { "acme", "globex" })
        {
            await app.CreateTenantAsync(slug);
            await using var shop = await app.Shop.CreateDbContextAsync(slug, TestContext.Current.CancellationToken);
            shop.Products.Add(
                new Product
                {
                    Sku = "1",
                    Name = slug,
                    Price = 1,
                }
            );
            await shop.SaveChangesAsync(TestContext.Current.CancellationToken);
        }

        return app;
    }

    /// <summary>The same, with one physical connection, which goes from tenant to tenant.</summary>
    public static async Task<TestApp> StartOnOneConnectionAsync(
        PostgresServer server,
        SessionReset reset = SessionReset.Always,
        Action<NeoCommonsBuilder>? configure = null,
        IReadOnlyDictionary<string, string?>? settings = null
    )
    {
        var app = await StartAsync(
            server,
            settings: new Dictionary<string, string?>(settings ?? new Dictionary<string, string?>())
            {
                ["NeoCommons:Connections:SessionReset"] = reset.ToString(),
            },
            configure: b =>
            {
                configure?.Invoke(b);
                b.AddTenantDbContext<ShopDbContext>();
            }
        );
        await app.AdminAsync("UPDATE admin.database_connections SET pool_max_size = 1, pool_min_size = 0");
        await app.ReloadAsync();
        return app;
    }
}
