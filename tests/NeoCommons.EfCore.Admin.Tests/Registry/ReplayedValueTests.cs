using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>What somebody puts into Redis who can write there: forged, or taken from there before.</summary>
public sealed class ReplayedValueTests(TestServers servers)
{
    private static readonly string Key = TestApp.NewKey();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_whole_value_that_is_not_sealed_as_values_are_is_not_believed(bool isStoredPassword)
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis);
        await app.AdoptAsync("acme", "globex");
        await WarmAsync(app.Host, redis, "acme", "globex");
        var globex = new TenantRow
        {
            Id = (await app.Get<ITenantStore>().FindBySlugAsync("globex", Ct))!.Id.Value,
            Slug = "acme",
            Name = "forged",
            SchemaName = "tenant_globex",
            ConnectionName = "db1",
            Status = "active",
        };
        var started = (DateTime)(await app.AdminAsync("SELECT pg_postmaster_start_time()"))!;
        var text = JsonSerializer.Serialize(
            new SharedValue<TenantRow>("acme", new(started, long.MaxValue), DateTimeOffset.UtcNow, globex)
        );

        // Whoever may choose a password has the registry's own key encrypt what he likes.
        var forged = isStoredPassword ? await TestApp.PlainTokenAsync(app.Services, text) : text;
        await redis.WriteAllAsync((await redis.ReadAllAsync()).ToDictionary(p => p.Key, _ => forged));

        using var other = await StartOtherAsync(app.AdminConnectionString, redis);
        var acme = (await Store(other).FindBySlugAsync("acme", Ct))!;
        Assert.Equal(("acme", "tenant_acme"), (acme.Name, acme.Schema.Value));
        await other.StopAsync(Ct);
    }

    [Fact]
    public async Task What_is_older_than_ten_minutes_is_read_anew_where_it_can_be()
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis);
        await app.AdoptAsync("acme");
        await WarmAsync(app.Host, redis, "acme");
        var old = await redis.ReadAllAsync();
        await ChangeUnheardAsync(app);

        var time = new LaterTime();
        time.PutForward(TimeSpan.FromMinutes(11));
        await redis.WriteAllAsync(old);
        using var other = await StartOtherAsync(app.AdminConnectionString, redis, time);

        Assert.Equal("changed", (await Store(other).FindBySlugAsync("acme", Ct))!.Name);
        await other.StopAsync(Ct);
    }

    [Theory]
    [InlineData(50, true)]
    [InlineData(70, false)]
    public async Task Without_the_admin_database_it_serves_as_long_as_it_would_have_lain_there(
        int minutes,
        bool isServed
    )
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis);
        await app.AdoptAsync("acme");
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        var address = proxy.GetConnectionString(app.AdminConnectionString);
        using (var first = await StartOtherAsync(address, redis))
        {
            await WarmAsync(first, redis, "acme");
            await first.StopAsync(Ct);
        }

        proxy.RefuseConnections();
        proxy.Cut();
        var time = new LaterTime();
        time.PutForward(TimeSpan.FromMinutes(minutes));
        using var other = await StartOtherAsync(address, redis, time);

        var tenant = await Record.ExceptionAsync(async () =>
            Assert.NotNull(await Store(other).FindBySlugAsync("acme", Ct))
        );
        var connection = await Record.ExceptionAsync(async () =>
            Assert.NotNull(await other.Services.GetRequiredService<IConnectionRegistry>().FindAsync("db1", Ct))
        );
        foreach (var failure in new[] { tenant, connection })
        {
            Assert.Equal(isServed ? null : typeof(ConnectionUnavailableException), failure?.GetType());
        }

        await other.StopAsync(Ct);
    }

    [Fact]
    public async Task A_value_has_an_end()
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis);
        await app.AdoptAsync("acme");
        await WarmAsync(app.Host, redis, "acme");
        Assert.InRange((await redis.LongestLifeAsync())!.Value, TimeSpan.FromMinutes(1), TimeSpan.FromHours(1));
    }

    [Fact]
    public async Task Registries_that_share_a_Redis_and_a_key_share_no_values()
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis);
        await using var another = await StartAsync(redis);
        await app.AdoptAsync("acme");
        await WarmAsync(app.Host, redis, "acme");
        await another.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) "
                + "SELECT 'acme', 'another registry''s', 'tenant_acme', id FROM admin.database_connections"
        );

        Assert.Equal("another registry's", (await another.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!.Name);
    }

    [Fact]
    public async Task Of_a_server_that_another_took_the_place_of_nothing_is_taken()
    {
        await using var server = await PostgresServer.StartAsync(ct: Ct);
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await TestApp.StartAsync(server, settings: Settings(redis), configure: b => b.UseRedis());
        await app.AdoptAsync("acme");
        await WarmAsync(app.Host, redis, "acme");
        var old = await redis.ReadAllAsync();
        await app.Host.StopAsync(Ct);

        // As on a server that lost the newest transactions: its log does not tell what the value does not know.
        await app.AdminAsync(
            "ALTER TABLE admin.tenants DISABLE TRIGGER notify_registry; UPDATE admin.tenants SET status = 'suspended'; "
                + "TRUNCATE admin.registry_changes"
        );
        await server.RestartAsync(ct: Ct);
        await redis.WriteAllAsync(old);
        using var other = await StartOtherAsync(app.AdminConnectionString, redis);
        await Eventually.TrueAsync(() => other.Services.GetRequiredService<TenantCache>().IsFollowed);

        Assert.Equal(TenantStatus.Suspended, (await Store(other).FindBySlugAsync("acme", Ct))!.Status);
        await other.StopAsync(Ct);
    }

    [Fact]
    public async Task After_changes_that_were_too_many_to_look_at_nothing_older_is_taken()
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis);
        await app.AdoptAsync("acme");
        await WarmAsync(app.Host, redis, "acme");
        var store = app.Get<ITenantStore>();
        var old = await redis.ReadAllAsync();
        await ChangeUnheardAsync(app);
        await app.AdminAsync(
            "BEGIN; INSERT INTO admin.registry_changes (kind) VALUES ('tenants'); NOTIFY neocommons_registry; COMMIT"
        );
        await Eventually.EqualAsync("changed", async () => (await store.FindBySlugAsync("acme", Ct))!.Name);

        await redis.WriteAllAsync(old);
        app.Get<TenantCache>().Memory.Clear();

        Assert.Equal("changed", (await store.FindBySlugAsync("acme", Ct))!.Name);
    }

    private static ITenantStore Store(IHost host) => host.Services.GetRequiredService<ITenantStore>();

    private static Task<object?> ChangeUnheardAsync(TestApp app) =>
        app.AdminAsync(
            "ALTER TABLE admin.tenants DISABLE TRIGGER notify_registry; UPDATE admin.tenants SET name = 'changed'"
        );

    private Task<TestApp> StartAsync(RedisServer redis) =>
        TestApp.StartAsync(servers.Postgres, settings: Settings(redis), configure: b => b.UseRedis());

    private async Task<IHost> StartOtherAsync(string admin, RedisServer redis, TimeProvider? time = null)
    {
        var settings = Settings(redis);
        settings["ADMIN_DATABASE_URL"] = admin;
        var host = TestApp.BuildHost(
            servers.Postgres,
            "unused",
            settings,
            b => b.UseRedis().Services.AddSingleton(time ?? TimeProvider.System)
        );
        await host.StartAsync(Ct);
        return host;
    }

    private static Dictionary<string, string?> Settings(RedisServer redis) =>
        new()
        {
            ["REDIS_URL"] = redis.Url,
            ["DB_ENCRYPTION_KEY"] = Key,
            ["NeoCommons:AdminDatabase:RefreshInterval"] = "01:00:00",
        };

    /// <summary>Has the connections and these tenants put into Redis.</summary>
    private static Task WarmAsync(IHost host, RedisServer redis, params string[] slugs) =>
        Eventually.TrueAsync(async () =>
        {
            await host.Services.GetRequiredService<IRegistryReload>().ReloadAsync(Ct);
            foreach (var slug in slugs)
            {
                await Store(host).FindBySlugAsync(slug, Ct);
            }

            return (await redis.ReadAllAsync()).Count >= 1 + slugs.Length;
        });
}
