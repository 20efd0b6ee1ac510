using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;

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

    private sealed class SetClock : TimeProvider
    {
        private long _ahead;

        public void Set(TimeSpan ahead) => Interlocked.Exchange(ref _ahead, ahead.Ticks);

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + new TimeSpan(Interlocked.Read(ref _ahead));
    }
}
