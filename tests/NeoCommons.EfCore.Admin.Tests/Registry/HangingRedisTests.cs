using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;
using StackExchange.Redis;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>A Redis that takes connections and does not answer.</summary>
public sealed class HangingRedisTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_lookup_does_not_wait_as_long_as_the_client_would()
    {
        await using var redis = await RedisServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(redis, "asyncTimeout=3600000,syncTimeout=3600000");
        var acme = (await app.AdoptAsync("acme"))[0];
        await app.ReloadAsync();
        redis.Freeze();
        try
        {
            // Of the client's hour nothing is waited for.
            Assert.NotNull(
                await app.Get<ITenantStore>().FindAsync(acme.Id, Ct).AsTask().WaitAsync(TimeSpan.FromMinutes(1), Ct)
            );
        }
        finally
        {
            redis.Unfreeze();
        }
    }

    [Fact]
    public async Task What_it_answers_when_nobody_waits_any_more_is_nobodys_failure()
    {
        var unseen = new ConcurrentQueue<Exception>();
        EventHandler<UnobservedTaskExceptionEventArgs> note = (_, e) => unseen.Enqueue(e.Exception.GetBaseException());
        TaskScheduler.UnobservedTaskException += note;
        try
        {
            await using var redis = await RedisServer.StartAsync(ct: Ct);
            await using var app = await StartAsync(redis, "asyncTimeout=1000,syncTimeout=1000");
            var tenants = await app.AdoptAsync("acme", "globex", "initech");
            await app.ReloadAsync();
            redis.Freeze();
            foreach (var tenant in tenants)
            {
                await app.Get<ITenantStore>().FindAsync(tenant.Id, Ct);
            }

            // The client gives up after a second, and looks for what has timed out once a second.
            await Task.Delay(TimeSpan.FromSeconds(4), Ct);
            redis.Unfreeze();
            for (var i = 0; i < 3; i++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        }
        finally
        {
            TaskScheduler.UnobservedTaskException -= note;
        }

        Assert.DoesNotContain(unseen, e => e is RedisTimeoutException);
    }

    private Task<TestApp> StartAsync(RedisServer redis, string keywords) =>
        TestApp.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?>
            {
                ["REDIS_URL"] = $"{redis.Host}:{redis.Port},{keywords}",
                ["NeoCommons:AdminDatabase:RefreshInterval"] = "01:00:00",
            },
            configure: b => b.UseRedis()
        );
}
