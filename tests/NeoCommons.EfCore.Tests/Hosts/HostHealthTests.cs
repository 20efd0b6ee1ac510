using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>How each server of a connection is, is told by its health and by the meter.</summary>
public sealed class HostHealthTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_standby_that_is_away_degrades_its_connection_and_shows_in_the_meter()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
        var serving = new ConcurrentDictionary<(object?, object?), int>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Name == "neocommons.host.serving")
            {
                l.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<int>(
            (_, value, tags, _) =>
            {
                var all = tags.ToArray().ToDictionary(t => t.Key, t => t.Value);
                if (Equals(all[NeoCommonsTelemetry.ConnectionTag], row.Name))
                {
                    serving[(all["neocommons.host.number"], all["neocommons.host.role"])] = value;
                }
            }
        );
        listener.Start();

        var health = await HealthAsync();
        Assert.Equal((ConnectionHealthStatus.Healthy, null), (health.Status, health.Reason));
        Assert.Equal([(0, true, null), (1, false, null)], health.Hosts.Select(h => (h.Number, h.IsPrimary, h.Reason)));
        Assert.Null(health.Hosts[0].LagSeconds);
        Assert.InRange(health.Hosts[1].LagSeconds!.Value, 0, 60);
        listener.RecordObservableInstruments();
        Assert.Equal([((0, "primary"), 1), ((1, "standby"), 1)], Serving());

        await pair.Standby.StopAsync(ct: Ct);

        await Eventually.TrueAsync(async () => (await HealthAsync()).Reason == "host out of service");
        health = await HealthAsync();
        Assert.Equal(ConnectionHealthStatus.Degraded, health.Status);
        Assert.Equal((null, "it does not answer"), (health.Hosts[1].IsPrimary, health.Hosts[1].Reason));
        serving.Clear();
        listener.RecordObservableInstruments();
        Assert.Equal([((0, "primary"), 1), ((1, "unknown"), 0)], Serving());

        await pair.Standby.StartAgainAsync(Ct);
        await Eventually.TrueAsync(async () => (await HealthAsync()).Status == ConnectionHealthStatus.Healthy);

        // Without the primary those who only read are served.
        await pair.Primary.StopAsync(ct: Ct);
        await Eventually.TrueAsync(async () => (await HealthAsync()).Reason == "NoHost");
        Assert.Equal(ConnectionHealthStatus.Degraded, (await HealthAsync()).Status);
        await ReadOnlyContextTests.AssertReadsOnlyAsync(app, tenant, isStandby: true);
        await pair.Primary.StartAgainAsync(Ct);
        await Eventually.TrueAsync(async () => (await HealthAsync()).Status == ConnectionHealthStatus.Healthy);

        async Task<ConnectionHealth> HealthAsync() => (await app.Connections.CheckAsync(row.Name, Ct))[row.Name];

        IEnumerable<((int, string), int)> Serving() =>
            serving.Select(s => (((int)s.Key.Item1!, (string)s.Key.Item2!), s.Value)).Order();
    }
}
