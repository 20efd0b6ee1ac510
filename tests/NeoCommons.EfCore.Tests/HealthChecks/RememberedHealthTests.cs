using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.HealthChecks;

/// <summary>What the monitor has seen is told as long as it may still be so; here it looks once, and never again.</summary>
public sealed class RememberedHealthTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_was_seen_long_ago_is_not_told_as_if_it_were_so_now()
    {
        var clock = new ClockAhead();
        await using var app = App(clock);
        var row = await app.AddDatabaseAsync();
        await using var watched = await LookOnceAsync(app, row);

        clock.Advance(TimeSpan.FromHours(2));
        var late = await HealthAsync(app, row);
        clock.Advance(TimeSpan.FromHours(2));
        var tooLate = await HealthAsync(app, row);

        Assert.Equal(ConnectionHealthStatus.Healthy, late.Status);
        Assert.True(late.AgeSeconds >= 7_200);
        Assert.Equal(
            (ConnectionHealthStatus.Unknown, "not looked at yet", null),
            (tooLate.Status, tooLate.Reason, tooLate.AgeSeconds)
        );
    }

    [Fact]
    public async Task What_was_seen_before_an_outage_is_not_told_after_it()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var app = App(new ClockAhead());
        var row = await app.AddDatabaseAsync(row => row with { Host = proxy.Host, Port = proxy.Port });
        await using var watched = await LookOnceAsync(app, row);
        var breaker = (await app.AcquireAsync(row.Name)).Breaker;
        proxy.RefuseConnections();
        proxy.Cut();
        breaker.InDoubt();
        await Eventually.TrueAsync(() => breaker.IsOpen);

        var meanwhile = await HealthAsync(app, row);
        Assert.Equal((ConnectionHealthStatus.Unhealthy, "CircuitOpen"), (meanwhile.Status, meanwhile.Reason));

        // What its pool did before is told still, and not that nothing was done.
        Assert.True(meanwhile.Pool.Acquisitions > 0);

        proxy.Restore();
        await Eventually.TrueAsync(() => !breaker.IsOpen);
        await Eventually.EqualAsync(
            (ConnectionHealthStatus.Unknown, "not looked at yet"),
            async () => await HealthAsync(app, row) is var after ? (after.Status, after.Reason) : default
        );

        // A connection that was opened since says that the server is there.
        await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        var again = await HealthAsync(app, row);
        Assert.Equal((ConnectionHealthStatus.Healthy, null), (again.Status, again.AgeSeconds));
    }

    [Fact]
    public async Task What_a_row_says_by_itself_is_found_out_once_until_it_is_another_one()
    {
        await using var app = App(new ClockAhead());
        var row = await app.AddDatabaseAsync();
        await using var watched = await LookOnceAsync(app, row);
        var unused = row with { Name = RuntimeApp.NewName() };
        var wrong = row with { Name = RuntimeApp.NewName(), Host = "169.254.169.254" };
        app.Registry.Set(unused);
        app.Registry.Set(wrong);

        Assert.Equal((ConnectionHealthStatus.Unknown, "not used yet"), await StateAsync(unused));
        Assert.Equal((ConnectionHealthStatus.Unhealthy, "InvalidConfiguration: host"), await StateAsync(wrong));
        Assert.Same(await HealthAsync(app, unused), await HealthAsync(app, unused));
        Assert.Same(await HealthAsync(app, wrong), await HealthAsync(app, wrong));

        app.Registry.Set(unused with { IsActive = false });
        app.Registry.Set(wrong with { Host = row.Host });
        Assert.Equal((ConnectionHealthStatus.Unknown, "inactive"), await StateAsync(unused));
        Assert.Equal((ConnectionHealthStatus.Unknown, "not used yet"), await StateAsync(wrong));

        async Task<(ConnectionHealthStatus, string?)> StateAsync(DatabaseConnection row) =>
            await HealthAsync(app, row) is var health ? (health.Status, health.Reason) : default;
    }

    private RuntimeApp App(TimeProvider clock) =>
        new(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Health:Interval"] = "01:00:00" },
            clock,
            services => services.AddHealthChecks().AddNeoCommons()
        );

    private static async Task<IAsyncDisposable> LookOnceAsync(RuntimeApp app, DatabaseConnection row)
    {
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        var watched = new Watched(app);
        await HostOf.StartAsync(app, Ct);
        await HostOf.EndStartAsync(app, Ct);

        await Eventually.TrueAsync(async () => (await HealthAsync(app, row)).AgeSeconds is not null);
        Assert.Equal(ConnectionHealthStatus.Healthy, (await HealthAsync(app, row)).Status);
        return watched;
    }

    private static async Task<ConnectionHealth> HealthAsync(RuntimeApp app, DatabaseConnection row)
    {
        var report = await app.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(Ct);
        return Assert.IsType<ConnectionHealth>(report.Entries["neocommons-connections"].Data[row.Name]);
    }

    private sealed class Watched(RuntimeApp app) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync() => await HostOf.StopAsync(app);
    }

    /// <summary>Time has passed, and no timer has gone off.</summary>
    private sealed class ClockAhead : TimeProvider
    {
        private long _ahead;

        public void Advance(TimeSpan time) =>
            Interlocked.Add(ref _ahead, (long)(time.TotalSeconds * TimestampFrequency));

        public override long GetTimestamp() => base.GetTimestamp() + Interlocked.Read(ref _ahead);
    }
}
