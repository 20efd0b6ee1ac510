using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;
using NeoCommons.EfCore.Tests.Hosts;
using FailoverTests = NeoCommons.EfCore.Tests.Hosts.FailoverTests;

namespace NeoCommons.EfCore.Tests.Resilience;

/// <summary>A clock that is set, by an hour or by ten years, changes nothing (T26): times are differences of one that is not.</summary>
public sealed class ClockTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(-1)]
    [InlineData(1)]
    [InlineData(-24 * 3652)]
    [InlineData(24 * 3652)]
    public async Task A_server_is_given_up_and_found_again(int hours)
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        var clock = new SetClock();
        await using var app = new RuntimeApp(servers.Postgres, time: clock);
        var row = await app.AddDatabaseAsync(row => row with { Host = proxy.Host, Port = proxy.Port });
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        var breaker = (await app.AcquireAsync(row.Name)).Breaker;
        proxy.RefuseConnections();
        proxy.Cut();
        await Eventually.TrueAsync(async () =>
        {
            await Record.ExceptionAsync(async () =>
            {
                await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);
                await RuntimeApp.PidAsync(connection);
            });
            return breaker.IsOpen;
        });

        clock.Set(TimeSpan.FromHours(hours));
        proxy.Restore();

        await Eventually.TrueAsync(() => !breaker.IsOpen);
        await using var again = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        Assert.True(await RuntimeApp.PidAsync(again) > 0);
    }

    [Theory]
    [InlineData(-24 * 3652)]
    [InlineData(24 * 3652)]
    public async Task Hosts_serve_on_lose_one_and_find_it_again(int hours)
    {
        await using var pair = await Pair.StartAsync();
        var clock = new SetClock();
        await using var app = pair.NewApp(time: clock);
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);

        clock.Set(TimeSpan.FromHours(hours));

        // No lag, no read of one's own write, no refusal and no idle connection is as old as the clock says.
        for (var id = 10; id < 20; id++)
        {
            await FailoverTests.WriteAsync(app, tenant, id);
            await using var reader = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);
            Assert.Equal(id, await reader.Items.MaxAsync(i => i.Id, Ct));
        }

        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
        await pair.Standby.StopAsync(ct: Ct);
        await Eventually.TrueAsync(async () =>
            await Record.ExceptionAsync(() => ReadOnlyContextTests.IsOnStandbyAsync(app, tenant)) is null
        );
        clock.Set(TimeSpan.Zero);
        await pair.Standby.StartAgainAsync(Ct);
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
    }

    [Theory]
    [InlineData(-24 * 3652)]
    [InlineData(24 * 3652)]
    public async Task Who_waits_for_a_turn_has_it_and_a_refused_password_is_told_no_sooner(int hours)
    {
        var clock = new SetClock();
        await using var app = new RuntimeApp(servers.Postgres, time: clock);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var held = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        var waiting = app.Connections.OpenConnectionAsync(row.Name, Ct).AsTask();
        await Eventually.EqualAsync(1, () => Task.FromResult(app.Connections.GetPoolMetrics(row.Name).Pending));
        var wrong = await app.AddDatabaseAsync(row => row with { Password = Secret.FromText("wrong") });
        await RefusedAsync();
        var gate = (await app.AcquireAsync(wrong.Name)).Passwords;
        Assert.NotNull(gate.RefusalOf(wrong));

        clock.Set(TimeSpan.FromHours(hours));

        Assert.NotNull(gate.RefusalOf(wrong));
        await RefusedAsync();
        Assert.False(waiting.IsCompleted);
        await held.DisposeAsync();
        await using (await waiting) { }

        async Task RefusedAsync() =>
            Assert.Equal(
                ConnectionUnavailableReason.AuthenticationFailed,
                (
                    await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
                        await app.Connections.OpenConnectionAsync(wrong.Name, Ct)
                    )
                ).Reason
            );
    }

    private sealed class SetClock : TimeProvider
    {
        private long _ahead;

        public void Set(TimeSpan ahead) => Interlocked.Exchange(ref _ahead, ahead.Ticks);

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + new TimeSpan(Interlocked.Read(ref _ahead));
    }
}
