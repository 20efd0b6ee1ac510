using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using NeoCommons.EfCore.Tests.Connections;
using NeoCommons.EfCore.Tests.HealthChecks;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>No host of a row lets anybody in: its callers are told so, and do not find out one by one.</summary>
public sealed class HostsAwayTests
{
    private const int Callers = 200;

    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(250);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Only_the_looks_connect_and_who_asks_is_answered_at_once_until_one_is_back()
    {
        await using var hosts = await BehindProxies.StartAsync();

        // Whoever connects is counted, and hung up on.
        await hosts.Pair.Standby.StopAsync(immediate: true, Ct);
        await hosts.Pair.Primary.StopAsync(immediate: true, Ct);
        await hosts.AwayAsync();
        hosts.Primary.ResetCounters();
        hosts.Standby.ResetCounters();
        var asking = Stopwatch.StartNew();

        for (var wave = 0; wave < 5; wave++)
        {
            var reasons = await Task.WhenAll(
                Enumerable
                    .Range(0, Callers / 5)
                    .Select(i => Task.Run(() => hosts.ReasonAsync(readOnly: i % 2 == 0), Ct))
            );
            Assert.All(reasons, reason => Assert.Equal(ConnectionUnavailableReason.NoHost, reason));
            await Task.Delay(HostWatch.Interval / 2, Ct);
        }

        var looks = 5 + (int)(asking.Elapsed / ShortestPause);
        Assert.InRange(hosts.Primary.Counters.Connections, 1, looks);
        Assert.InRange(hosts.Standby.Counters.Connections, 1, looks);

        await hosts.Pair.Primary.StartAgainAsync(Ct);
        await hosts.Pair.Standby.StartAgainAsync(Ct);
        await hosts.ServesAsync();
    }

    [Fact]
    public async Task After_a_long_outage_the_pool_is_built_anew()
    {
        await using var hosts = await BehindProxies.StartAsync(
            settings: new Dictionary<string, string?> { ["NeoCommons:Connections:Breaker:RebuildAfter"] = "00:00:01" }
        );
        var before = await hosts.App.AcquireAsync(hosts.Row.Name);
        hosts.Stop();
        await hosts.AwayAsync();
        await Task.Delay(TimeSpan.FromSeconds(1), Ct);

        hosts.Primary.Restore();
        hosts.Standby.Restore();
        await hosts.ServesAsync();

        await Eventually.TrueAsync(async () => !ReferenceEquals(before, await hosts.App.AcquireAsync(hosts.Row.Name)));
    }

    [Fact]
    public async Task And_has_the_one_that_is_back_though_that_was_left_out_before()
    {
        await using var hosts = await BehindProxies.StartAsync(
            settings: new Dictionary<string, string?> { ["NeoCommons:Connections:Breaker:RebuildAfter"] = "00:00:01" }
        );
        hosts.Standby.Blackhole();
        await Eventually.TrueAsync(async () =>
            (await hosts.App.AcquireAsync(hosts.Row.Name)).Hosts!.LeftOut.Contains(1)
        );
        var before = await hosts.App.AcquireAsync(hosts.Row.Name);
        hosts.Primary.RefuseConnections();
        hosts.Primary.Cut();
        await hosts.AwayAsync();
        await Task.Delay(TimeSpan.FromSeconds(1), Ct);

        hosts.Standby.Restore();

        var after = before;
        await Eventually.TrueAsync(async () =>
        {
            after = await hosts.App.AcquireAsync(hosts.Row.Name);
            return !ReferenceEquals(before, after);
        });
        Assert.Empty(after.Hosts!.LeftOut);
        await ReadOnlyContextTests.OnStandbyAsync(hosts.App, hosts.Tenant);
    }

    [Fact]
    public async Task Health_tells_of_the_outage_and_after_it_nothing_that_was_seen_before()
    {
        await using var hosts = await BehindProxies.StartAsync(
            settings: new Dictionary<string, string?> { ["NeoCommons:Health:Interval"] = "01:00:00" },
            configure: services => services.AddHealthChecks().AddNeoCommons()
        );
        await HostOf.StartAsync(hosts.App, Ct);
        await HostOf.EndStartAsync(hosts.App, Ct);
        await Eventually.TrueAsync(async () => await HealthAsync() is { AgeSeconds: not null, Reason: null });

        hosts.Stop();
        await hosts.AwayAsync();
        var meanwhile = await HealthAsync();
        Assert.Equal(
            (ConnectionHealthStatus.Unhealthy, "NoHost", true),
            (meanwhile.Status, meanwhile.Reason, meanwhile.Outage is not null)
        );
        Assert.Equal(2, meanwhile.Hosts.Count(host => host.Reason is not null));

        // The only look was before.
        hosts.Primary.Restore();
        hosts.Standby.Restore();
        await hosts.ServesAsync();
        await Eventually.TrueAsync(async () =>
            await HealthAsync()
                is { Status: ConnectionHealthStatus.Healthy, Reason: null, Outage: null, AgeSeconds: null }
        );
        await HostOf.StopAsync(hosts.App);

        async Task<ConnectionHealth> HealthAsync()
        {
            var report = await hosts.App.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(Ct);
            return Assert.IsType<ConnectionHealth>(report.Entries["neocommons-connections"].Data[hosts.Row.Name]);
        }
    }

    [Fact]
    public async Task Who_waits_for_a_turn_is_told_so_when_all_refuse()
    {
        await using var hosts = await BehindProxies.StartAsync(r => r with { MaxPoolSize = 1 });
        await using var held = await hosts.App.Connections.OpenTenantConnectionAsync(hosts.Tenant.Id, Ct);
        var waiting = Task.WhenAll(
            Enumerable.Range(0, 3).Select(i => Task.Run(() => hosts.ReasonAsync(readOnly: i == 0), Ct))
        );
        await Eventually.TrueAsync(() => hosts.App.Connections.GetPoolMetrics(hosts.Row.Name).Pending == 3);

        hosts.Stop();

        Assert.All(
            await waiting.WaitAsync(TimeSpan.FromSeconds(15), Ct),
            reason => Assert.Equal(ConnectionUnavailableReason.NoHost, reason)
        );
    }

    [Fact]
    public async Task One_that_is_back_serves_though_the_other_is_away()
    {
        await using var hosts = await BehindProxies.StartAsync();
        hosts.Stop();
        await hosts.AwayAsync();

        hosts.Primary.Restore();
        await hosts.ServesAsync();
        Assert.False(await ReadOnlyContextTests.IsOnStandbyAsync(hosts.App, hosts.Tenant));

        hosts.Stop();
        await hosts.AwayAsync();
        hosts.Primary.Restore();
        hosts.Standby.Restore();
        await hosts.ServesAsync();
        await ReadOnlyContextTests.OnStandbyAsync(hosts.App, hosts.Tenant);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_failover_connection_is_used_meanwhile(bool writes)
    {
        const string Other = "other";
        await using var hosts = await BehindProxies.StartAsync(r =>
            r with
            {
                FailoverConnection = Other,
                FailoverWrites = writes,
            }
        );
        await hosts.App.AddTenantAsync(
            await hosts.App.AddDatabaseAsync(r => r with { Name = Other }),
            hosts.Tenant.Slug,
            Other
        );
        var other = hosts.App.Registry[Other];
        await hosts.App.DirectAsync(other, "UPDATE tenant_acme.items SET owner = 'other'");
        hosts.App.Tenants.Set(hosts.Tenant);
        Assert.Equal("acme", await hosts.OwnerAsync(readOnly: true));

        for (var outage = 0; outage < 2; outage++)
        {
            hosts.Stop();
            await hosts.AwayAsync();
            Assert.Equal("other", await hosts.OwnerAsync(readOnly: true));
            if (writes)
            {
                Assert.Equal("other", await hosts.OwnerAsync(readOnly: false));
            }
            else
            {
                Assert.Equal(ConnectionUnavailableReason.NoHost, await hosts.ReasonAsync(readOnly: false));
            }

            hosts.Primary.Restore();
            hosts.Standby.Restore();
            await Eventually.EqualAsync("acme", () => hosts.TryOwnerAsync(readOnly: true));
            await Eventually.EqualAsync("acme", () => hosts.TryOwnerAsync(readOnly: false));
        }
    }

    [Fact]
    public async Task One_whose_hosts_are_all_away_too_is_not_used()
    {
        const string Other = "other-away";
        await using var hosts = await BehindProxies.StartAsync(r => r with { FailoverConnection = Other });
        var nowhere = hosts.Row with { Name = Other, FailoverConnection = null };
        hosts.App.Registry.Set(nowhere);
        var other = await hosts.App.AcquireAsync(Other);
        other.Hosts!.Start();
        hosts.Stop();
        await hosts.AwayAsync();
        await hosts.AwayAsync(Other);

        var refusal = await Record.ExceptionAsync(() => hosts.OwnerAsync(readOnly: true));

        var unavailable = Assert.IsType<ConnectionUnavailableException>(refusal);
        Assert.Equal(
            (ConnectionUnavailableReason.NoHost, hosts.Row.Name),
            (unavailable.Reason, unavailable.ConnectionName)
        );
        Assert.Equal(0, other.Life.Leases);
    }
}
