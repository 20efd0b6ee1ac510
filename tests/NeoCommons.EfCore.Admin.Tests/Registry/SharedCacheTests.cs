using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Testing;
using StackExchange.Redis;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>What processes share through Redis: of use where it can be had, and never believed or relied on.</summary>
public sealed class SharedCacheTests(TestServers servers)
{
    private static readonly string Key = TestApp.NewKey();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_new_process_serves_known_tenants_without_the_admin_database(bool migratesOnStart)
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis);
        var acme = await app.CreateTenantAsync("acme");
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        var address = proxy.GetConnectionString(app.AdminConnectionString);
        using (var first = await StartOtherAsync(app, redis, address))
        {
            await WarmAsync(first, redis, acme);
            await first.StopAsync(Ct);
        }

        proxy.RefuseConnections();
        proxy.Cut();
        using var other = await StartUntilRedisIsQuickAsync();

        await using (var shop = await Shop(other).CreateDbContextAsync(acme.Id, Ct))
        {
            shop.Orders.Add(new Shop.Order { Customer = "of a new process" });
            Assert.Equal(1, await shop.SaveChangesAsync(Ct));
        }

        Assert.Equal(acme.Id, (await Store(other).FindBySlugAsync("acme", Ct))!.Id);
        await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await Store(other).FindBySlugAsync("unheard-of", Ct)
        );

        // It has not migrated anything, and does when it can.
        if (migratesOnStart)
        {
            await app.AdminAsync(
                "DELETE FROM admin.\"__EFMigrationsHistory\" WHERE \"MigrationId\" LIKE '%TenantEventSchemas'; "
                    + "DROP INDEX admin.ix_tenant_events_schema, admin.ix_tenant_events_former_schema"
            );
            proxy.Restore();
            await Eventually.TrueAsync(async () =>
                await app.AdminAsync("SELECT to_regclass('admin.ix_tenant_events_schema')::text") is string
            );
        }

        await other.StopAsync(Ct);

        // On a machine that is busy Redis may answer later than a process waits for it, and then its start fails: it is begun again.
        async Task<IHost> StartUntilRedisIsQuickAsync()
        {
            for (var triesLeft = 3; ; triesLeft--)
            {
                try
                {
                    return await StartOtherAsync(app, redis, address, migratesOnStart: migratesOnStart);
                }
                catch (ConnectionUnavailableException) when (triesLeft > 0)
                {
                    await Task.Delay(TimeSpan.FromSeconds(1), Ct);
                }
            }
        }
    }

    [Fact]
    public async Task Redis_holds_nothing_that_can_be_read()
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis);
        const string Connection = "a-connection-of-ours";
        await TestApp.RegisterAsync(app.Services, servers.Postgres, Connection, "nowhere");
        var acme = await app.CreateTenantAsync("acme-of-springfield");
        await WarmAsync(app.Host, redis, acme);

        var dump = new StringBuilder();
        foreach (var (key, value) in await redis.ReadAllAsync())
        {
            dump.AppendLine(key).AppendLine(value);
        }

        Assert.Contains("neocommons:", dump.ToString());

        // None is so short that it stands in random text now and then.
        string[] secrets =
        [
            acme.Slug,
            Connection,
            "127.0.0.1",
            servers.Postgres.Password,
            app.Server.Username,
            $"{acme.Id}",
        ];
        foreach (var secret in secrets.Where(s => s.Length > 0))
        {
            Assert.DoesNotContain(secret, dump.ToString(), StringComparison.OrdinalIgnoreCase);
        }
    }

    [Theory]
    [InlineData(Poison.AnotherTenants)]
    [InlineData(Poison.Changed)]
    [InlineData(Poison.Garbage)]
    [InlineData(Poison.StoredPassword)]
    [InlineData(Poison.Emptied)]
    [InlineData(Poison.OtherKind)]
    [InlineData(Poison.OtherFields)]
    public async Task A_value_that_somebody_else_has_written_is_rejected_counted_and_read_anew(Poison poison)
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis);
        var (acme, globex) = (await app.CreateTenantAsync("acme"), await app.CreateTenantAsync("globex"));
        await WarmAsync(app.Host, redis, acme, globex);
        var password = (string)(await app.AdminAsync("SELECT encrypted_password FROM admin.database_connections"))!;
        await PoisonAllAsync(redis, poison, password);
        using var results = new Results();

        using var other = await StartOtherAsync(app, redis);
        foreach (var tenant in new[] { acme, globex })
        {
            Assert.Equal(tenant, await Store(other).FindAsync(tenant.Id, Ct));
            Assert.Equal(tenant, await Store(other).FindBySlugAsync(tenant.Slug, Ct));
        }

        Assert.NotNull(await other.Services.GetRequiredService<IConnectionRegistry>().FindAsync("db1", Ct));
        Assert.Equal(0, results.Of(other, "hit"));
        Assert.Equal(5, results.Of(other, poison == Poison.Emptied ? "miss" : "rejected"));

        // What was read anew has taken its place.
        await Eventually.TrueAsync(async () =>
        {
            using var third = await StartOtherAsync(app, redis);
            await Store(third).FindAsync(acme.Id, Ct);
            await third.StopAsync(Ct);
            return results.Of(third, "hit") == 2;
        });
        await other.StopAsync(Ct);
    }

    [Theory]
    [InlineData(Outage.Killed)]
    [InlineData(Outage.Frozen)]
    [InlineData(Outage.NeverThere)]
    [InlineData(Outage.Cut)]
    public async Task Without_Redis_everything_works_and_it_is_soon_asked_no_more(Outage outage)
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis);
        var tenants = await app.AdoptAsync([.. Enumerable.Range(1, 30).Select(i => $"t{i}")]);
        await using var proxy = TcpFaultProxy.Start(redis.Host, redis.Port);
        if (outage == Outage.NeverThere)
        {
            await redis.StopAsync(Ct);
        }

        using var other = await StartOtherAsync(app, redis, redisPort: proxy.Port, breakFor: "01:00:00");
        using var results = new Results();
        await Store(other).FindAsync(tenants[0].Id, Ct);
        await (
            outage switch
            {
                Outage.Killed => redis.StopAsync(Ct),
                Outage.Frozen => Task.Run(redis.Freeze, Ct),
                Outage.Cut => Task.Run(
                    () =>
                    {
                        proxy.RefuseConnections();
                        proxy.Cut();
                    },
                    Ct
                ),
                _ => Task.CompletedTask,
            }
        );
        foreach (var tenant in tenants.Take(5))
        {
            Assert.Equal(tenant.Id, (await Store(other).FindAsync(tenant.Id, Ct))!.Id);
        }

        // By then the circuit is open: what goes to Redis now is its client's own, no lookup's.
        await Eventually.TrueAsync(() => results.Of(other, "failed") >= 2);
        var asked = proxy.Counters.BytesToServer;
        foreach (var tenant in tenants.Skip(5))
        {
            Assert.Equal(tenant.Slug, (await Store(other).FindBySlugAsync(tenant.Slug, Ct))!.Slug);
        }

        Assert.InRange(proxy.Counters.BytesToServer - asked, 0, 1_000);
        Assert.Equal(0, results.Of(other, "rejected"));
        if (outage == Outage.Frozen)
        {
            redis.Unfreeze();
        }

        await other.StopAsync(Ct);
    }

    [Fact]
    public async Task A_Redis_that_is_back_is_used_again()
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis);
        var tenants = await app.AdoptAsync([.. Enumerable.Range(1, 10).Select(i => $"t{i}")]);
        using var other = await StartOtherAsync(app, redis, breakFor: "00:00:00.5");
        using var results = new Results();
        await redis.StopAsync(Ct);
        foreach (var tenant in tenants)
        {
            await Store(other).FindAsync(tenant.Id, Ct);
        }

        await redis.StartAgainAsync(Ct);
        await Eventually.TrueAsync(async () =>
        {
            await other.Services.GetRequiredService<IRegistryReload>().ReloadAsync(Ct);
            await Store(other).FindAsync(tenants[0].Id, Ct);
            return (await redis.ReadAllAsync()).Count >= 2;
        });
        await other.StopAsync(Ct);
    }

    [Fact]
    public async Task What_changed_while_no_process_ran_is_not_taken_from_Redis()
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        Tenant acme;
        await using (var app = await StartAsync(redis))
        {
            acme = await app.CreateTenantAsync("acme");
            await WarmAsync(app.Host, redis, acme);
        }

        // The admin database is still there.
        await using var again = await StartAsync(redis);
        var moved = await again.AdoptAsync("globex");
        await WarmAsync(again.Host, redis, moved[0]);
        var other = await StartOtherAsync(again, redis);
        await Store(other).FindAsync(moved[0].Id, Ct);
        await other.StopAsync(Ct);
        other.Dispose();

        // Nobody removes what Redis holds.
        var old = await redis.ReadAllAsync();
        await again.AdminAsync("UPDATE admin.tenants SET status = 'suspended' WHERE slug = 'globex'");
        await redis.WriteAllAsync(old);

        using var next = await StartOtherAsync(again, redis);
        await Eventually.EqualAsync(
            TenantStatus.Suspended,
            async () => (await Store(next).FindAsync(moved[0].Id, Ct))!.Status
        );
        await next.StopAsync(Ct);
    }

    [Fact]
    public async Task What_a_process_has_changed_itself_it_does_not_take_from_Redis()
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis);
        var acme = await app.CreateTenantAsync("acme");
        for (var i = 0; i < 20; i++)
        {
            await WarmAsync(app.Host, redis, acme);
            await app.Provisioner.SuspendAsync(acme.Id, "unpaid", Ct);
            Assert.Equal(TenantStatus.Suspended, (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!.Status);
            await app.Provisioner.ResumeAsync(acme.Id, Ct);
            Assert.Equal(TenantStatus.Active, (await app.Get<ITenantStore>().FindAsync(acme.Id, Ct))!.Status);
        }
    }

    [Fact]
    public async Task Without_an_address_nothing_is_shared()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<ShopDbContext>().UseRedis()
        );
        var acme = await app.CreateTenantAsync("acme");
        Assert.False(app.Get<SharedCache>().IsOn);
        Assert.NotNull(await app.Get<ITenantStore>().FindAsync(acme.Id, Ct));
    }

    private Task<TestApp> StartAsync(RedisServer redis) =>
        TestApp.StartAsync(
            servers.Postgres,
            settings: Settings(redis),
            configure: b => b.AddTenantDbContext<ShopDbContext>().UseRedis()
        );

    private async Task<IHost> StartOtherAsync(
        TestApp app,
        RedisServer redis,
        string? admin = null,
        int? redisPort = null,
        string breakFor = "00:00:05",
        bool migratesOnStart = false
    )
    {
        var settings = Settings(redis);
        settings["ADMIN_DATABASE_URL"] = admin ?? app.AdminConnectionString;
        settings["REDIS_URL"] = redisPort is { } port ? $"redis://127.0.0.1:{port}" : redis.Url;
        settings["NeoCommons:Redis:BreakDuration"] = breakFor;
        settings["NeoCommons:AdminDatabase:MigrateOnStart"] = migratesOnStart.ToString();
        var host = TestApp.BuildHost(
            servers.Postgres,
            "unused",
            settings,
            b => b.AddTenantDbContext<ShopDbContext>().UseRedis()
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

    private static ITenantStore Store(IHost host) => host.Services.GetRequiredService<ITenantStore>();

    private static ITenantDbContextFactory<ShopDbContext> Shop(IHost host) =>
        host.Services.GetRequiredService<ITenantDbContextFactory<ShopDbContext>>();

    /// <summary>Has the connections and these tenants put into Redis, by id and by slug.</summary>
    private static async Task WarmAsync(IHost host, RedisServer redis, params Tenant[] tenants)
    {
        await Eventually.TrueAsync(async () =>
        {
            await host.Services.GetRequiredService<IRegistryReload>().ReloadAsync(Ct);
            foreach (var tenant in tenants)
            {
                await Store(host).FindAsync(tenant.Id, Ct);
                await Store(host).FindBySlugAsync(tenant.Slug, Ct);
            }

            return (await redis.ReadAllAsync()).Count >= 1 + (2 * tenants.Length);
        });
    }

    private static async Task PoisonAllAsync(RedisServer redis, Poison poison, string password)
    {
        var all = (await redis.ReadAllAsync()).OrderBy(p => p.Key, StringComparer.Ordinal).ToList();
        if (poison is Poison.OtherKind or Poison.OtherFields)
        {
            await using var writer = await ConnectionMultiplexer.ConnectAsync(redis.ConnectionString);
            foreach (var (key, _) in all)
            {
                await (
                    poison == Poison.OtherKind
                        ? writer.GetDatabase().StringSetAsync(key, "junk")
                        : writer.GetDatabase().HashSetAsync(key, "sldexp", "junk")
                );
            }

            return;
        }

        if (poison == Poison.Emptied)
        {
            await using var connection = await ConnectionMultiplexer.ConnectAsync(
                redis.ConnectionString + ",allowAdmin=true"
            );
            await connection.GetServer(redis.Host, redis.Port).FlushAllDatabasesAsync();
            return;
        }

        await redis.WriteAllAsync(
            all.Select(
                    (p, i) =>
                        (
                            p.Key,
                            Value: poison switch
                            {
                                Poison.AnotherTenants => all[(i + 1) % all.Count].Value,
                                Poison.Changed => p.Value[..20] + (p.Value[20] == 'A' ? 'B' : 'A') + p.Value[21..],
                                Poison.StoredPassword => password,
                                _ => "{\"Key\":\"acme\"}",
                            }
                        )
                )
                .ToDictionary(p => p.Key, p => p.Value)
        );
    }

    public enum Poison
    {
        AnotherTenants,
        Changed,
        Garbage,
        StoredPassword,
        Emptied,
        OtherKind,
        OtherFields,
    }

    public enum Outage
    {
        Killed,
        Frozen,
        NeverThere,
        Cut,
    }

    /// <summary>Counts the lookups in Redis of each process, by what came of them.</summary>
    private sealed class Results : IDisposable
    {
        private readonly MeterListener _listener = new();
        private readonly ConcurrentDictionary<(object? Meter, string Result), long> _counts = new();

        public Results()
        {
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name == "neocommons.registry.shared_cache")
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            };
            _listener.SetMeasurementEventCallback<long>(
                (instrument, value, tags, _) =>
                    _counts.AddOrUpdate(
                        (instrument.Meter, (string)tags[0].Value!),
                        value,
                        (_, before) => before + value
                    )
            );
            _listener.Start();
        }

        public long Of(IHost host, string result) =>
            _counts.GetValueOrDefault((host.Services.GetRequiredService<RegistryMetrics>().Meter, result));

        public void Dispose() => _listener.Dispose();
    }
}
