using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

public sealed class PlacementTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_tenant_that_names_no_connection_goes_where_the_fewest_are()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 3);
        await app.CreateTenantAsync("aa", "db1");
        Assert.Equal("db2", (await PlaceAsync(app, "bb")).ConnectionName);
        Assert.Equal("db3", (await PlaceAsync(app, "cc")).ConnectionName);
        Assert.Equal("db1", (await PlaceAsync(app, "dd")).ConnectionName);
    }

    [Fact]
    public async Task A_tenant_of_a_region_goes_to_that_region()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await app.AdminAsync("UPDATE admin.database_connections SET region_id = 'eu' WHERE connection_name = 'db2'");
        await app.ReloadAsync();
        Assert.Equal("db2", (await PlaceAsync(app, "aa", "eu")).ConnectionName);
        Assert.Equal("db2", (await PlaceAsync(app, "bb", "eu")).ConnectionName);
        var refused = await Assert.ThrowsAsync<TenantConflictException>(() => PlaceAsync(app, "cc", "us"));
        Assert.Contains("region 'us'", refused.Message);
    }

    [Theory]
    [InlineData("is_active = false")]
    [InlineData("accepts_tenants = false")]
    [InlineData("connection_type = 'ANALYTICS'")]
    [InlineData("connection_type = 'DEDICATED'")]
    [InlineData("max_tenants = 0")]
    [InlineData("max_relations = 0")]
    public async Task A_connection_that_takes_no_tenants_is_passed_over(string change)
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await app.AdminAsync($"UPDATE admin.database_connections SET {change} WHERE connection_name = 'db1'");
        await app.ReloadAsync();
        Assert.Equal("db2", (await PlaceAsync(app, "aa")).ConnectionName);

        await app.AdminAsync($"UPDATE admin.database_connections SET {change}");
        await app.ReloadAsync();
        await Assert.ThrowsAsync<TenantConflictException>(() => PlaceAsync(app, "bb"));
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
    }

    [Fact]
    public async Task A_full_connection_is_refused_with_both_numbers_and_the_column()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.AdminAsync("UPDATE admin.database_connections SET max_tenants = 1");
        await app.CreateTenantAsync("aa");
        var full = await Assert.ThrowsAsync<TenantConflictException>(() => app.CreateTenantAsync("bb"));
        Assert.Contains("1 tenants and takes 1 (max_tenants)", full.Message);

        await app.AdminAsync("UPDATE admin.database_connections SET max_tenants = 9, max_relations = 5");
        var large = await Assert.ThrowsAsync<TenantConflictException>(() => app.CreateTenantAsync("bb"));
        Assert.Matches("it has|its database has [0-9]+ relations and takes 5 \\(max_relations\\)", large.Message);
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_limit_holds_however_many_ask_at_once(bool inAdminDatabase)
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase);
        await app.AdminAsync("UPDATE admin.database_connections SET max_tenants = 3");
        var outcomes = await Task.WhenAll(
            Enumerable
                .Range(0, 8)
                .Select(i => Record.ExceptionAsync(() => app.CreateTenantAsync($"t{i}", "home")).AsTask())
        );
        Assert.Equal(3, outcomes.Count(e => e is null));
        Assert.All(outcomes.Where(e => e is not null), e => Assert.IsType<TenantConflictException>(e));
        Assert.Equal(3L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
    }

    [Fact]
    public async Task An_application_chooses_for_itself()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            databases: 2,
            configure: b =>
            {
                b.AddTenantDbContext<ShopDbContext>();
                b.Services.AddSingleton<ITenantPlacement, Last>();
            }
        );
        Assert.Equal("db2", (await PlaceAsync(app, "aa")).ConnectionName);
        Assert.Equal("db2", (await PlaceAsync(app, "bb")).ConnectionName);
        await Assert.ThrowsAsync<InvalidOperationException>(() => PlaceAsync(app, "nowhere"));
        await Assert.ThrowsAsync<TenantConflictException>(() => PlaceAsync(app, "none"));
    }

    private static Task<Tenant> PlaceAsync(TestApp app, string slug, string? region = null) =>
        app.Provisioner.CreateAsync(
            new()
            {
                Slug = slug,
                Name = slug,
                RegionId = region,
            },
            Ct
        );

    private sealed class Last : ITenantPlacement
    {
        public ValueTask<string?> ChooseAsync(
            NewTenant tenant,
            IReadOnlyList<PlacementCandidate> candidates,
            CancellationToken ct = default
        ) =>
            new(
                tenant.Slug switch
                {
                    "nowhere" => "db9",
                    "none" => null,
                    _ => candidates[^1].ConnectionName,
                }
            );
    }
}
