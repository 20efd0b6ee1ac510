using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>What a lookup of a tenant gives that meets a change, or an admin database that is away.</summary>
public sealed class TenantLoadTests(TestServers servers)
{
    private static readonly string Key = TestApp.NewKey();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_load_that_began_before_a_change_does_not_bring_back_what_was()
    {
        await using var app = await StartAsync();
        var acme = (await app.AdoptAsync("acme"))[0];
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        using var other = await StartOtherAsync(app, proxy);
        var store = other.Services.GetRequiredService<ITenantStore>();
        var cache = other.Services.GetRequiredService<TenantCache>();
        await store.FindAsync(acme.Id, Ct);

        // Nothing but the lookup goes through the proxy then.
        await other.StopAsync(Ct);
        cache.Drop(acme.Id, ["acme"]);

        // The server has answered with what was, and the answer is on its way.
        var met = proxy.BeforePiece(
            1,
            ProxyDirection.ToClient,
            async () =>
            {
                await ChangeUnheardAsync(app, "UPDATE admin.tenants SET name = 'changed'");
                cache.Drop(acme.Id, ["acme"]);
            }
        );

        Assert.Equal("changed", (await store.FindAsync(acme.Id, Ct))!.Name);
        await met;
        Assert.Equal("changed", (await store.FindAsync(acme.Id, Ct))!.Name);
    }

    [Fact]
    public async Task That_there_is_no_such_tenant_is_remembered_briefly_however_silently_it_comes()
    {
        await using var app = await StartAsync();
        await app.AdoptAsync("acme");
        await app.ReloadAsync();
        var store = app.Get<ITenantStore>();
        Assert.Null(await store.FindBySlugAsync("globex", Ct));
        await ChangeUnheardAsync(
            app,
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) "
                + "SELECT 'globex', 'globex', 'tenant_globex', id FROM admin.database_connections"
        );

        await Eventually.TrueAsync(async () => await store.FindBySlugAsync("globex", Ct) is not null);
    }

    [Fact]
    public async Task That_there_was_no_such_tenant_is_not_said_of_an_admin_database_that_is_away()
    {
        await using var app = await StartAsync();
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        using var other = await StartOtherAsync(app, proxy);
        var store = other.Services.GetRequiredService<ITenantStore>();
        Assert.Null(await store.FindBySlugAsync("globex", Ct));
        proxy.RefuseConnections();
        proxy.Cut();

        await FailsInTheEndAsync(async () => await store.FindBySlugAsync("globex", Ct));
        await other.StopAsync(Ct);
    }

    [Fact]
    public async Task Those_who_ask_for_the_same_tenant_of_a_database_that_hangs_wait_for_one_answer()
    {
        await using var app = await StartAsync();
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        var address = proxy.GetConnectionString(app.AdminConnectionString) + ";Timeout=1;Command Timeout=1";
        using var other = await StartOtherAsync(app, proxy, ("ADMIN_DATABASE_URL", address));
        var store = other.Services.GetRequiredService<ITenantStore>();
        await other.StopAsync(Ct);
        proxy.Blackhole();
        proxy.Cut();
        var before = proxy.Counters.Connections;

        await Task.WhenAll(
            Enumerable
                .Range(0, 20)
                .Select(_ =>
                    Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
                        await store.FindBySlugAsync("globex", Ct)
                    )
                )
        );

        // A lookup tries more than once.
        Assert.InRange(proxy.Counters.Connections - before, 1, 6);
    }

    [Fact]
    public async Task What_was_known_last_is_not_served_for_ever()
    {
        await using var app = await StartAsync();
        var acme = (await app.AdoptAsync("acme"))[0];
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        using var other = await StartOtherAsync(
            app,
            proxy,
            ("NeoCommons:AdminDatabase:RefreshInterval", "00:00:00.2"),
            ("NeoCommons:AdminDatabase:LastKnownGoodFor", "00:00:03")
        );
        var store = other.Services.GetRequiredService<AdminTenantStore>();
        Assert.NotNull(await store.FindAsync(acme.Id, Ct));
        proxy.RefuseConnections();
        proxy.Cut();
        store.ForgetAll();

        // However often it is asked for: that makes it no younger.
        Assert.NotNull(await store.FindAsync(acme.Id, Ct));
        await FailsInTheEndAsync(async () => await store.FindAsync(acme.Id, Ct));
        await other.StopAsync(Ct);
    }

    private static Task FailsInTheEndAsync(Func<Task> find) =>
        Eventually.TrueAsync(async () => await Record.ExceptionAsync(find) is ConnectionUnavailableException);

    private static Task<object?> ChangeUnheardAsync(TestApp app, string sql) =>
        app.AdminAsync("ALTER TABLE admin.tenants DISABLE TRIGGER notify_registry; " + sql);

    private Task<TestApp> StartAsync() => TestApp.StartAsync(servers.Postgres, settings: Settings());

    /// <summary>Another process, which reaches the admin database through the proxy, and knows what changed until now.</summary>
    private async Task<IHost> StartOtherAsync(
        TestApp app,
        TcpFaultProxy proxy,
        params (string Key, string Value)[] settings
    )
    {
        var all = Settings();
        all["ADMIN_DATABASE_URL"] = proxy.GetConnectionString(app.AdminConnectionString);
        foreach (var (key, value) in settings)
        {
            all[key] = value;
        }

        var host = TestApp.BuildHost(servers.Postgres, "unused", all);
        await host.StartAsync(Ct);
        await host.Services.GetRequiredService<IRegistryReload>().ReloadAsync(Ct);
        return host;
    }

    private static Dictionary<string, string?> Settings() =>
        new() { ["DB_ENCRYPTION_KEY"] = Key, ["NeoCommons:AdminDatabase:RefreshInterval"] = "01:00:00" };
}
