using System.Diagnostics.Metrics;

namespace NeoCommons.EfCore;

/// <summary>The meter <c>NeoCommons.EfCore</c>: how callers get their connections. Tagged by connection, never by tenant.</summary>
internal sealed class ConnectionInstruments : IDisposable
{
    // From a pooled connection, which takes microseconds, to the longest pool timeout that anybody would set.
    private static readonly InstrumentAdvice<double> WaitTimes = new()
    {
        HistogramBucketBoundaries = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30],
    };

    public Meter Meter { get; } = new(NeoCommonsTelemetry.Meter);

    public Histogram<double> WaitTime { get; }

    public Histogram<double> UseTime { get; }

    public Counter<long> Acquisitions { get; }

    public Counter<long> Failures { get; }

    public Counter<long> Replacements { get; }

    public Counter<long> BindRoundTrips { get; }

    public ConnectionInstruments()
    {
        WaitTime = Meter.CreateHistogram(
            "db.client.connection.wait_time",
            "s",
            "How long callers waited for an open connection, bound to its tenant.",
            advice: WaitTimes
        );
        UseTime = Meter.CreateHistogram(
            "db.client.connection.use_time",
            "s",
            "How long connections were held, from their opening until they were given back.",
            advice: WaitTimes
        );
        Acquisitions = Meter.CreateCounter<long>(
            "neocommons.connection.acquisitions",
            "{acquisition}",
            "Connections that callers got, by whether the server had to be asked for a new one."
        );
        Failures = Meter.CreateCounter<long>(
            "neocommons.connection.failures",
            "{failure}",
            "Callers that got no connection, and commands that were not sent for a tenant's limit, by reason."
        );
        Replacements = Meter.CreateCounter<long>(
            "neocommons.pool.replacements",
            "{pool}",
            "Pools that gave way to another one because their row has changed."
        );
        BindRoundTrips = Meter.CreateCounter<long>(
            "neocommons.bind.round_trips",
            "{round_trip}",
            "Binds at the opening of a connection that could not travel with its first command."
        );
    }

    public void Dispose() => Meter.Dispose();
}
