using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>A change that is heard of when an answer was found and is not yet in memory.</summary>
public sealed class LateWriteTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_is_out_of_date_by_then_does_not_stay()
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        var settings = new Dictionary<string, string?>
        {
            ["REDIS_URL"] = redis.Url,
            ["DB_ENCRYPTION_KEY"] = TestApp.NewKey(),
            ["NeoCommons:AdminDatabase:RefreshInterval"] = "01:00:00",
        };
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            settings: settings,
            configure: b => b.UseRedis()
        );
        var acme = (await app.AdoptAsync("acme"))[0];
        await Eventually.TrueAsync(async () =>
        {
            await app.ReloadAsync();
            await app.Get<ITenantStore>().FindAsync(acme.Id, Ct);
            return (await redis.ReadAllAsync()).Count >= 2;
        });
        await app.AdminAsync(
            "ALTER TABLE admin.tenants DISABLE TRIGGER notify_registry; UPDATE admin.tenants SET name = 'changed'"
        );
        settings["ADMIN_DATABASE_URL"] = app.AdminConnectionString;
        using var other = TestApp.BuildHost(servers.Postgres, "unused", settings, b => b.UseRedis());
        var store = other.Services.GetRequiredService<AdminTenantStore>();
        var heard = 0;
        using var meters = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (
                    instrument.Name == "neocommons.registry.shared_cache"
                    && instrument.Meter == other.Services.GetRequiredService<RegistryMetrics>().Meter
                )
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        meters.SetMeasurementEventCallback<long>(
            (_, _, tags, _) =>
            {
                // Counted when the value of Redis was found good.
                if (tags[0].Value is "hit" && Interlocked.Increment(ref heard) == 1)
                {
                    store.Forget(acme.Id, ["acme"]);
                }
            }
        );
        meters.Start();

        Assert.Equal("acme", (await store.FindAsync(acme.Id, Ct))!.Name);

        Assert.Equal(1, heard);
        await Eventually.EqualAsync("changed", async () => (await store.FindAsync(acme.Id, Ct))!.Name);
    }
}
