using System.Diagnostics.Metrics;
using BenchmarkDotNet.Attributes;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Benchmarks.Metrics;

/// <summary>What it costs to count, and to read what was counted.</summary>
public class CountingBenchmark : IDisposable
{
    private const string Name = "benchmark";

    // So long that no slice of it ends while it is measured.
    private static readonly TimeSpan Window = TimeSpan.FromDays(1);

    private readonly Clock _clock = new();

    private ConnectionInstruments? _instruments;
    private PoolMeter? _meter;
    private PoolFigures? _figures;
    private MeterListener? _listener;

    /// <summary>Counts for a pool.</summary>
    [GlobalSetup(Targets = [nameof(Acquired), nameof(Executed)])]
    public void SetUp()
    {
        _instruments = new ConnectionInstruments();
        _meter = new PoolMeter(_instruments, Options.Create(new ConnectionOptions { MetricsWindow = Window }), _clock);
        _figures = _meter.Track(Name);
        Acquired();
        Executed();
    }

    /// <summary>A pool that was used in all of the window.</summary>
    [GlobalSetup(Target = nameof(Read))]
    public void SetUpUsed()
    {
        SetUp();
        for (var slice = 1; slice < SlidingWindowSlice.Count; slice++)
        {
            _clock.Passed += Window / SlidingWindowSlice.Count;
            for (var i = 0; i < 1_000; i++)
            {
                Acquired();
                Executed();
            }
        }
    }

    /// <summary>As an exporter does, which aggregates besides.</summary>
    [GlobalSetup(Target = nameof(AcquiredAndHeard))]
    public void SetUpListener()
    {
        _listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == NeoCommonsTelemetry.Meter)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        _listener.SetMeasurementEventCallback<double>((_, _, _, _) => { });
        _listener.SetMeasurementEventCallback<long>((_, _, _, _) => { });
        _listener.Start();
        SetUp();
    }

    /// <summary>Ends what was set up.</summary>
    [GlobalCleanup]
    public void Dispose()
    {
        _listener?.Dispose();
        _meter!.Dispose();
        _instruments!.Dispose();
    }

    /// <summary>A connection was had.</summary>
    [Benchmark(Description = "an acquisition, nobody listens to our meter")]
    public void Acquired() => _figures!.Acquired(TimeSpan.FromMicroseconds(3), created: false);

    /// <summary>A connection was had, and an exporter hears of it.</summary>
    [Benchmark(Description = "an acquisition, somebody listens")]
    public void AcquiredAndHeard() => Acquired();

    /// <summary>A command has ended.</summary>
    [Benchmark(Description = "a command")]
    public void Executed() => _figures!.Executed(0.001);

    /// <summary>All of a pool's metrics.</summary>
    [Benchmark(Description = "reading the metrics of a pool")]
    public object Read() => _meter!.Read(Name);

    private sealed class Clock : TimeProvider
    {
        public TimeSpan Passed { get; set; }

        public override long GetTimestamp() => base.GetTimestamp() + (long)(Passed.TotalSeconds * TimestampFrequency);
    }
}
