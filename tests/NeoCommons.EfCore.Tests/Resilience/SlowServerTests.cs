using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Resilience;

/// <summary>A server that answers late, and one whose network has gone silent (T25).</summary>
public sealed class SlowServerTests(TestServers servers)
{
    // Of a slow machine; nobody is waited for without an end.
    private static readonly TimeSpan Slack = TimeSpan.FromSeconds(10);

    // Of a statement, and the driver waits as long for its request to cancel it as it does for a login.
    private static readonly TimeSpan CommandTimeout = TimeSpan.FromSeconds(10);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_that_answers_late_and_unevenly_is_waited_for_and_is_no_outage()
    {
        await using var proxied = await BehindProxy.StartAsync(servers.Postgres, row => row with { MaxPoolSize = 4 });
        var tenants = new List<Tenant>();
        for (var i = 0; i < 5; i++)
        {
            tenants.Add(await proxied.App.AddTenantAsync(proxied.Direct, $"t{i}", proxied.Row.Name));
        }

        await using var load = Load.Start(proxied.App, tenants);
        await Eventually.TrueAsync(() => load.Operations > 20);

        proxied.Proxy.Latency = TimeSpan.FromMilliseconds(20);
        proxied.Proxy.Jitter = TimeSpan.FromMilliseconds(100);
        var before = load.Operations;
        await Eventually.TrueAsync(() => load.Operations > before + 50);
        proxied.Proxy.Restore();

        Assert.Equal((0, false), (load.Failures, proxied.Breaker.IsOpen));
        await load.AssertNothingLostAsync(proxied.Direct);
    }

    [Fact]
    public async Task One_that_answers_some_in_no_time_and_others_after_seconds_leaves_nobody_waiting()
    {
        await using var proxied = await BehindProxy.StartAsync(
            servers.Postgres,
            row => row with { MaxPoolSize = 4, PoolTimeout = TimeSpan.FromSeconds(3) }
        );
        proxied.Proxy.Jitter = TimeSpan.FromSeconds(5);

        // A turn, a login, and a statement that is waited for or given up.
        var longest = (proxied.Row.PoolTimeout * 3) + CommandTimeout + Slack;
        var callers = Enumerable.Range(0, 200).Select(_ => UseAsync().WaitAsync(longest, Ct)).ToList();

        Assert.All(
            await Task.WhenAll(callers),
            e => Assert.True(e is null or ConnectionUnavailableException or NpgsqlException, $"{e}")
        );
        proxied.Proxy.Restore();
        await Eventually.TrueAsync(async () => await UseAsync() is null);
        Assert.Equal(0, await Quotas.Held.OfPoolAsync(proxied.App, proxied.Row));
        Assert.Equal(0, proxied.App.Connections.GetPoolMetrics(proxied.Row.Name).Pending);

        async Task<Exception?> UseAsync() =>
            await Record.ExceptionAsync(async () =>
            {
                await using var connection = await proxied.App.Connections.OpenConnectionAsync(proxied.Row.Name, Ct);
                await using var command = new NpgsqlCommand("SELECT 1", connection)
                {
                    CommandTimeout = (int)CommandTimeout.TotalSeconds,
                };
                await command.ExecuteNonQueryAsync(Ct);
            });
    }

    [Fact]
    public async Task One_that_has_gone_silent_holds_no_thread_and_every_caller_gets_an_answer()
    {
        await using var proxied = await BehindProxy.StartAsync(
            servers.Postgres,
            row => row with { MaxPoolSize = 4, PoolTimeout = TimeSpan.FromSeconds(5) }
        );
        var other = await proxied.App.AddDatabaseAsync();
        proxied.Proxy.Blackhole();
        (await proxied.App.AcquireAsync(proxied.Row.Name)).Clear();

        // A turn, and then a login.
        var longest = (proxied.Row.PoolTimeout * 2) + Slack;
        var callers = Enumerable.Range(0, 200).Select(_ => OpenAsync(proxied.Row).WaitAsync(longest, Ct)).ToList();

        // Threads are free, and so is the other server.
        await Task.Run(() => { }, Ct).WaitAsync(proxied.Row.PoolTimeout, Ct);
        await using (var connection = await proxied.App.Connections.OpenConnectionAsync(other.Name, Ct))
        {
            Assert.True(await RuntimeApp.PidAsync(connection) > 0);
        }

        Assert.DoesNotContain(callers, caller => caller.IsCompleted);
        Assert.All(
            await Task.WhenAll(callers),
            e =>
                Assert.Contains(
                    Assert.IsType<ConnectionUnavailableException>(e).Reason,
                    new[]
                    {
                        ConnectionUnavailableReason.Unreachable,
                        ConnectionUnavailableReason.PoolExhausted,
                        ConnectionUnavailableReason.CircuitOpen,
                    }
                )
        );

        // Those that come now get theirs at once; when the network is back, nobody has to do anything.
        await proxied.FailUntilOpenAsync();
        proxied.Proxy.Restore();
        await Eventually.TrueAsync(() => !proxied.Breaker.IsOpen);
        Assert.Null(await OpenAsync(proxied.Row));
        Assert.Equal(0, await Quotas.Held.OfPoolAsync(proxied.App, proxied.Row));

        async Task<Exception?> OpenAsync(DatabaseConnection row) =>
            await Record.ExceptionAsync(async () =>
            {
                await using var connection = await proxied.App.Connections.OpenConnectionAsync(row.Name, Ct);
            });
    }
}
