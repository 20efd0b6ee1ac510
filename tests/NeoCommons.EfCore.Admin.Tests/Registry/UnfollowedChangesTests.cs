using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>A process that follows no changes believes nothing for longer than <c>RefreshInterval</c>.</summary>
public sealed class UnfollowedChangesTests(TestServers servers)
{
    private static readonly string Key = TestApp.NewKey();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_without_a_host_does_not_serve_from_Redis_what_has_changed()
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis);
        var acme = (await app.AdoptAsync("acme"))[0];
        await WarmAsync(app, redis, acme.Id);
        using var tool = Build(app.AdminConnectionString, redis);
        var store = tool.Services.GetRequiredService<ITenantStore>();
        Assert.Equal(TenantStatus.Active, (await store.FindAsync(acme.Id, Ct))!.Status);

        await app.AdminAsync("UPDATE admin.tenants SET status = 'suspended'");

        await Eventually.EqualAsync(TenantStatus.Suspended, async () => (await store.FindAsync(acme.Id, Ct))!.Status);
    }

    [Fact]
    public async Task One_without_a_host_does_not_take_a_connection_from_Redis_that_may_have_changed()
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis);
        var acme = (await app.AdoptAsync("acme"))[0];
        await WarmAsync(app, redis, acme.Id);
        await app.Host.StopAsync(Ct);
        await app.AdminAsync("UPDATE admin.database_connections SET pool_max_size = 7");
        await Task.Delay(TimeSpan.FromSeconds(1), Ct);
        using var tool = Build(app.AdminConnectionString, redis);

        var found = await tool.Services.GetRequiredService<IConnectionRegistry>().FindAsync("db1", Ct);

        Assert.Equal(7, found!.MaxPoolSize);
    }

    [Fact]
    public async Task One_that_cannot_read_the_log_does_not_serve_from_Redis_what_has_changed()
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis);
        var acme = (await app.AdoptAsync("acme"))[0];
        var role = "reader_" + Guid.NewGuid().ToString("N");
        await app.AdminAsync(
            $"CREATE ROLE {role} LOGIN PASSWORD 'reader'; GRANT USAGE ON SCHEMA admin TO {role}; "
                + $"GRANT SELECT ON admin.tenants, admin.database_connections TO {role}"
        );
        try
        {
            await WarmAsync(app, redis, acme.Id);
            var address = new NpgsqlConnectionStringBuilder(app.AdminConnectionString)
            {
                Username = role,
                Password = "reader",
            };
            using var other = Build(address.ConnectionString, redis);
            await other.StartAsync(Ct);
            var store = other.Services.GetRequiredService<ITenantStore>();
            Assert.Equal(TenantStatus.Active, (await store.FindAsync(acme.Id, Ct))!.Status);

            await app.AdminAsync("UPDATE admin.tenants SET status = 'suspended'");

            await Eventually.EqualAsync(
                TenantStatus.Suspended,
                async () => (await store.FindAsync(acme.Id, Ct))!.Status
            );
            await other.StopAsync(Ct);
        }
        finally
        {
            await app.AdminAsync($"DROP OWNED BY {role}; DROP ROLE {role}");
        }
    }

    [Fact]
    public async Task One_that_starts_while_the_admin_database_hangs_serves_from_Redis_without_waiting_for_it()
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis);
        var acme = (await app.AdoptAsync("acme"))[0];
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        var address = proxy.GetConnectionString(app.AdminConnectionString) + ";Timeout=600;Command Timeout=600";

        // The application has keys of its own: addresses that differ share nothing.
        await app.Host.StopAsync(Ct);
        var known = (await redis.ReadAllAsync()).Keys.ToHashSet();
        using (var first = Build(address, redis))
        {
            await Eventually.TrueAsync(async () =>
            {
                first.Services.GetRequiredService<AdminTenantStore>().ForgetAll();
                await first.Services.GetRequiredService<ITenantStore>().FindAsync(acme.Id, Ct);
                await first.Services.GetRequiredService<IConnectionRegistry>().ListAsync(Ct);
                return (await redis.ReadAllAsync()).Keys.Count(key => !known.Contains(key)) >= 2;
            });
        }

        proxy.Blackhole();
        using var other = Build(address, redis, TimeSpan.FromMinutes(11));

        var tenant = other.Services.GetRequiredService<ITenantStore>().FindAsync(acme.Id, Ct);
        var connection = other.Services.GetRequiredService<IConnectionRegistry>().FindAsync("db1", Ct);

        Assert.NotNull(await tenant.AsTask().WaitAsync(TimeSpan.FromMinutes(1), Ct));
        Assert.NotNull(await connection.AsTask().WaitAsync(TimeSpan.FromMinutes(1), Ct));

        // It is asked once for each, however often somebody looks.
        var asked = proxy.Counters.Connections;
        for (var i = 0; i < 5; i++)
        {
            other.Services.GetRequiredService<TenantCache>().DropAll();
            Assert.NotNull(await other.Services.GetRequiredService<ITenantStore>().FindAsync(acme.Id, Ct));
        }

        Assert.Equal(asked, proxy.Counters.Connections);

        // When it answers at last, its answer is there for whoever asks next.
        var before = await redis.ReadAllAsync();
        proxy.Restore();
        await Eventually.TrueAsync(async () =>
        {
            var now = await redis.ReadAllAsync();
            return now.Count(pair => before[pair.Key] != pair.Value) == 2;
        });
    }

    private static Task WarmAsync(TestApp app, RedisServer redis, TenantId tenant) =>
        Eventually.TrueAsync(async () =>
        {
            await app.ReloadAsync();
            await app.Get<ITenantStore>().FindAsync(tenant, Ct);
            return (await redis.ReadAllAsync()).Count >= 2;
        });

    private Task<TestApp> StartAsync(RedisServer redis) =>
        TestApp.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?>
            {
                ["REDIS_URL"] = redis.Url,
                ["DB_ENCRYPTION_KEY"] = Key,
                ["NeoCommons:AdminDatabase:RefreshInterval"] = "01:00:00",
            },
            configure: b => b.UseRedis()
        );

    private IHost Build(string admin, RedisServer redis, TimeSpan later = default)
    {
        var time = new LaterTime();
        time.PutForward(later);
        return TestApp.BuildHost(
            servers.Postgres,
            "unused",
            new Dictionary<string, string?>
            {
                ["ADMIN_DATABASE_URL"] = admin,
                ["REDIS_URL"] = redis.Url,
                ["DB_ENCRYPTION_KEY"] = Key,
                ["NeoCommons:AdminDatabase:RefreshInterval"] = "00:00:00.2",
            },
            b => b.UseRedis().Services.AddSingleton<TimeProvider>(time)
        );
    }
}
