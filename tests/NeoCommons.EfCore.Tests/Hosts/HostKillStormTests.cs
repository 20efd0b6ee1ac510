using NeoCommons.EfCore.Tests.Connections;
using NeoCommons.EfCore.Tests.Resilience;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>All sessions are killed at both hosts, again and again, while tenants read and write (T6). <c>NEO_FAULT_SECONDS</c> makes it long.</summary>
public sealed class HostKillStormTests
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(300);

    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(
        int.TryParse(Environment.GetEnvironmentVariable("NEO_FAULT_SECONDS"), out var seconds) ? seconds : 4
    );

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Nobody_reads_anothers_nothing_acknowledged_is_lost_and_when_it_is_over_everything_works()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app, r => r with { MaxPoolSize = 6 });
        var tenants = new List<Tenant>();
        for (var i = 0; i < 5; i++)
        {
            tenants.Add(await app.AddTenantAsync(row, $"t{i}"));
        }

        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenants[0]);
        await using var load = Load.Start(app, tenants, readsReadOnly: true);
        await Eventually.TrueAsync(() => load.Operations > 50);

        var killed = 0L;
        for (var elapsed = TimeSpan.Zero; elapsed < Duration; elapsed += Pause)
        {
            await Task.Delay(Pause, Ct);
            killed += (long)(await Pair.KillAsync(pair.Primary, row.Database))!;
            killed += (long)(await Pair.KillAsync(pair.Standby, row.Database))!;
        }

        load.EndOfFaults();
        await Eventually.TrueAsync(() => load.HasRecovered);
        for (var id = 1; id <= 10; id++)
        {
            foreach (var tenant in tenants)
            {
                await FailoverTests.WriteAsync(app, tenant, -id);
                _ = await ReadOnlyContextTests.IsOnStandbyAsync(app, tenant);
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{killed} sessions killed; {load.Operations} operations, {load.Failures} failed"
        );
        Assert.InRange(killed, 1, long.MaxValue);
        load.Recovery.AssertWithin(HostWatch.Interval);
        Assert.Equal(0, load.Relapses);
        await load.AssertNothingLostAsync(row);
    }
}
