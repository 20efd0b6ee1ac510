using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

public sealed class MigrationRulesTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_migration_that_changes_the_search_path_does_not_lead_the_next_one_elsewhere()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<WanderingContext>()
        );
        await app.CreateTenantAsync("acme");
        Assert.Equal(
            0L,
            await app.DirectAsync(
                "db1",
                "SELECT count(*) FROM pg_class WHERE relname = 'wanderer' AND relnamespace = 'public'::regnamespace"
            )
        );
    }

    [Fact]
    public async Task A_migration_that_names_another_schema_is_refused()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<NamingContext>()
        );
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => app.CreateTenantAsync("acme"));
        Assert.Contains("20260101000000_Leak", refused.Message);
        Assert.Contains("SharedSchemas", refused.Message);
        Assert.Equal(
            0L,
            await app.DirectAsync(
                "db1",
                "SELECT count(*) FROM pg_class WHERE relname = 'leak' AND relnamespace = 'public'::regnamespace"
            )
        );
    }

    [Fact]
    public async Task An_extension_without_a_schema_is_refused_at_the_first_tenant()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<ExtensionContext>()
        );
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => app.CreateTenantAsync("acme"));
        Assert.Contains("HasPostgresExtension(\"extensions\", \"citext\")", refused.Message);
    }

    [Fact]
    public async Task UseSeeding_is_refused()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<ShopDbContext>(o => o.UseSeeding((_, _) => { }))
        );
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => app.CreateTenantAsync("acme"));
        Assert.Contains("CreateAsync", refused.Message);
    }
}
