using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>What is kept of tenants in memory, and who is answered from it.</summary>
public sealed class TenantCacheTests(TestServers servers)
{
    private static readonly string Key = TestApp.NewKey();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_is_no_slug_finds_nothing_that_is_in_memory_under_another_key()
    {
        await using var app = await StartAsync();
        var acme = (await app.AdoptAsync("acme"))[0];
        var store = app.Get<ITenantStore>();

        // The cache notes under keys of its own that it was emptied.
        await app.ReloadAsync();
        Assert.NotNull(await store.FindAsync(acme.Id, Ct));

        string[] keys = [$"{acme.Id.Value:B}", $"{acme.Id}", "__fc:t:*", "__fc:t:!", "ACME", "acme ", ""];
        foreach (var key in keys)
        {
            Assert.Null(await store.FindBySlugAsync(key, Ct));
        }
    }

    [Fact]
    public async Task Many_tenants_that_are_not_there_do_not_crowd_out_those_that_are()
    {
        await using var app = await StartAsync();
        var tenants = await app.AdoptAsync([.. Enumerable.Range(1, 8).Select(i => $"t{i}")]);
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        using var other = await StartOtherAsync(app, proxy, ("NeoCommons:AdminDatabase:CachedTenants", "10"));
        var store = other.Services.GetRequiredService<ITenantStore>();
        foreach (var tenant in tenants)
        {
            Assert.NotNull(await store.FindAsync(tenant.Id, Ct));
        }

        for (var i = 0; i < 200; i++)
        {
            Assert.Null(await store.FindBySlugAsync($"nobody{i}", Ct));
        }

        proxy.RefuseConnections();
        proxy.Cut();
        foreach (var tenant in tenants)
        {
            Assert.NotNull(await store.FindAsync(tenant.Id, Ct));
        }

        await other.StopAsync(Ct);
    }

    [Fact]
    public async Task What_was_looked_up_before_changes_were_followed_is_looked_up_again()
    {
        await using var app = await StartAsync();
        var acme = (await app.AdoptAsync("acme"))[0];
        using var other = TestApp.BuildHost(
            servers.Postgres,
            "unused",
            new Dictionary<string, string?>
            {
                ["ADMIN_DATABASE_URL"] = app.AdminConnectionString,
                ["DB_ENCRYPTION_KEY"] = Key,
                ["NeoCommons:AdminDatabase:RefreshInterval"] = "01:00:00",
            }
        );
        var store = other.Services.GetRequiredService<ITenantStore>();
        var heard = new ConcurrentQueue<TenantId?>();
        using var listening = store.OnChange(heard.Enqueue);
        Assert.Equal("acme", (await store.FindAsync(acme.Id, Ct))!.Name);
        await app.AdminAsync("UPDATE admin.tenants SET name = 'changed'");

        await other.StartAsync(Ct);

        await Eventually.EqualAsync("changed", async () => (await store.FindAsync(acme.Id, Ct))!.Name);
        await Eventually.TrueAsync(() => !heard.IsEmpty);
        Assert.Equal([null], heard);
        await other.StopAsync(Ct);
    }

    [Fact]
    public async Task A_tenant_stays_in_its_database_where_another_gets_the_name_of_its_connection()
    {
        await using var app = await StartAsync(databases: 2);
        var acme = await app.CreateTenantAsync("acme", "db1");
        await app.ReloadAsync();
        var (store, registry) = (app.Get<ITenantStore>(), app.Get<IConnectionRegistry>());
        Assert.Equal("db1", (await store.FindAsync(acme.Id, Ct))!.ConnectionName);
        var home = (await registry.FindAsync("db1", Ct))!.Database;

        await app.AdminAsync(
            "UPDATE admin.database_connections SET connection_name = CASE connection_name WHEN 'db1' THEN 'old' ELSE 'db1' END"
        );

        await Eventually.TrueAsync(async () => await registry.FindAsync("old", Ct) is not null);
        var connection = (await store.FindAsync(acme.Id, Ct))!.ConnectionName;
        Assert.Equal(home, (await registry.FindAsync(connection, Ct))!.Database);
    }

    private Task<TestApp> StartAsync(int databases = 1) =>
        TestApp.StartAsync(
            servers.Postgres,
            databases,
            new Dictionary<string, string?>
            {
                ["DB_ENCRYPTION_KEY"] = Key,
                ["NeoCommons:AdminDatabase:RefreshInterval"] = "01:00:00",
            }
        );

    /// <summary>Another process, which reaches the admin database through the proxy, and knows what changed until now.</summary>
    private async Task<IHost> StartOtherAsync(
        TestApp app,
        TcpFaultProxy proxy,
        params (string Key, string Value)[] settings
    )
    {
        var all = settings.ToDictionary(s => s.Key, s => (string?)s.Value);
        all["ADMIN_DATABASE_URL"] = proxy.GetConnectionString(app.AdminConnectionString);
        all["DB_ENCRYPTION_KEY"] = Key;
        var host = TestApp.BuildHost(servers.Postgres, "unused", all);
        await host.StartAsync(Ct);
        await host.Services.GetRequiredService<IRegistryReload>().ReloadAsync(Ct);
        return host;
    }
}
