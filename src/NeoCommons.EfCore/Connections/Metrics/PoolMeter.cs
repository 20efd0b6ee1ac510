using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore;

/// <summary>
/// What pools hold and do, by the name of their connection: from Npgsql's own meter, since the driver keeps its counts
/// internal otherwise, and from those who open connections here.
/// </summary>
/// <remarks>
/// A name is known as long as a pool has it. Names of other data sources in the process, and of rows that are gone, take no
/// memory.
/// </remarks>
internal sealed class PoolMeter : IDisposable
{
    private const string PoolName = NeoCommonsTelemetry.ConnectionTag;

    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<string, PoolFigures> _pools = new(StringComparer.Ordinal);
    private readonly Lock _tracking = new();
    private readonly Lock _reading = new();
    private readonly ConnectionInstruments _instruments;
    private readonly TimeSpan _window;
    private readonly TimeProvider _time;
    private Dictionary<string, Counts> _observed = new(StringComparer.Ordinal);

    public PoolMeter(ConnectionInstruments instruments, IOptions<ConnectionOptions> options, TimeProvider time)
    {
        _instruments = instruments;
        _window = options.Value.MetricsWindow;
        _time = time;
        var collectsCommands = options.Value.CollectCommandMetrics;
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == "Npgsql" && IsOfUse(instrument.Name, collectsCommands))
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback(Guarded<int>(Record));
        _listener.SetMeasurementEventCallback(Guarded<double>(Record));
        _listener.Start();
        instruments.Meter.CreateObservableGauge(
            "neocommons.pool.health_score",
            () =>
                ReadAll()
                    .Values.Select(p => new Measurement<int>(
                        p.HealthScore,
                        KeyValuePair.Create<string, object?>(PoolName, p.ConnectionName)
                    )),
            "1",
            "How well the pool serves, from 0 to 100."
        );
        instruments.Meter.CreateObservableGauge(
            "neocommons.connection.circuit_open",
            () => EachPool(figures => Find?.Invoke(figures.Connection) is { RefusesAll: true } ? 1 : 0),
            "1",
            "1 while callers are refused since the server is away, else 0."
        );
        HostGauges.Create(
            instruments.Meter,
            () => _pools.Keys.Select(n => Find?.Invoke(n)).OfType<PooledDataSource>(),
            time
        );
        instruments.Meter.CreateObservableUpDownCounter(
            "db.client.connection.pending_requests",
            () => EachPool(figures => (long)figures.Pending),
            "{request}",
            "Callers that wait for a connection, for their turn or in the driver's queue."
        );
        instruments.Meter.CreateObservableCounter(
            "db.client.connection.timeouts",
            () => EachPool(figures => figures.Timeouts),
            "{timeout}",
            "Callers that waited for as long as they may and got no connection."
        );
    }

    /// <summary>The pool of a connection; null where there is none.</summary>
    public Func<string, PooledDataSource?>? Find { get; set; }

    /// <summary>The names that are known.</summary>
    public int Known => _pools.Count;

    /// <summary>Begins to count for a pool of this name; before it is used, since who waits earlier would be missed.</summary>
    public PoolFigures Track(string connectionName)
    {
        lock (_tracking)
        {
            var figures = _pools.GetOrAdd(
                connectionName,
                static (name, meter) => new(name, meter._instruments, meter._window, meter._time),
                this
            );
            figures.Pools++;
            return figures;
        }
    }

    /// <summary>A pool of this name is closed.</summary>
    public void Forget(PoolFigures? figures)
    {
        if (figures is null)
        {
            return;
        }

        lock (_tracking)
        {
            figures.Pools--;

            // A wait that goes on would end in the figures of the name's next pool: then a later call drops them.
            foreach (var (name, known) in _pools)
            {
                if (known is { Pools: 0, Pending: 0 })
                {
                    _pools.TryRemove(name, out _);
                }
            }
        }
    }

    /// <summary>What a pool holds now, without what it did.</summary>
    public PoolMetrics Count(string connectionName) => Count(connectionName, Observe());

    /// <summary>The same of each pool, by its connection's name; asks the driver once.</summary>
    public IReadOnlyDictionary<string, PoolMetrics> CountAll()
    {
        var observed = Observe();
        return _pools.Keys.ToDictionary(name => name, name => Count(name, observed), StringComparer.Ordinal);
    }

    /// <summary>What a pool holds and did.</summary>
    public PoolMetrics Read(string connectionName) => Read(connectionName, Observe());

    /// <summary>The same of each pool, by its connection's name; asks the driver once.</summary>
    public IReadOnlyDictionary<string, PoolMetrics> ReadAll()
    {
        var observed = Observe();
        return _pools.Keys.ToDictionary(name => name, name => Read(name, observed), StringComparer.Ordinal);
    }

    public void Dispose() => _listener.Dispose();

    private IEnumerable<Measurement<long>> EachPool(Func<PoolFigures, long> read) =>
        _pools.Values.Select(figures => new Measurement<long>(
            read(figures),
            KeyValuePair.Create<string, object?>(PoolName, figures.Connection)
        ));

    private PoolMetrics Count(string connectionName, Dictionary<string, Counts> observed)
    {
        observed.TryGetValue(connectionName, out var now);
        return new PoolMetrics
        {
            ConnectionName = connectionName,
            Idle = now?.Idle ?? 0,
            Active = now?.Active ?? 0,
            Max = now?.Max ?? 0,
            Pending = _pools.GetValueOrDefault(connectionName)?.Pending ?? 0,
        };
    }

    private PoolMetrics Read(string connectionName, Dictionary<string, Counts> observed)
    {
        var pool = Count(connectionName, observed);
        return _pools.TryGetValue(connectionName, out var figures) ? figures.Complete(pool) : pool;
    }

    private Dictionary<string, Counts> Observe()
    {
        lock (_reading)
        {
            _observed = new(StringComparer.Ordinal);
            _listener.RecordObservableInstruments();
            return _observed;
        }
    }

    // The driver takes the time of a command only where somebody asks for it.
    private static bool IsOfUse(string instrument, bool collectsCommands) =>
        instrument switch
        {
            "db.client.connection.count" or "db.client.connection.max" => true,
            "db.client.connection.npgsql.pending_requests" or "db.client.connection.npgsql.timeouts" => true,
            "db.client.connection.npgsql.create_time" or "db.client.operation.failed" => true,
            "db.client.operation.duration" => collectsCommands,
            _ => false,
        };

    // The driver calls it in the middle of its work, and loses its place when it throws.
    private static MeasurementCallback<T> Guarded<T>(
        Action<Instrument, T, ReadOnlySpan<KeyValuePair<string, object?>>> record
    )
        where T : struct =>
        (instrument, value, tags, _) =>
        {
            try
            {
                record(instrument, value, tags);
            }
            catch (Exception)
            {
                // One measurement less.
            }
        };

    private void Record(Instrument instrument, double seconds, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (NameIn(tags) is not { } pool || !_pools.TryGetValue(pool, out var figures))
        {
            return;
        }

        if (instrument.Name == "db.client.operation.duration")
        {
            figures.Executed(seconds);
        }
        else
        {
            figures.LoggedIn(seconds);
        }
    }

    private void Record(Instrument instrument, int value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (NameIn(tags) is not { } pool)
        {
            return;
        }

        if (instrument.IsObservable)
        {
            Observe(pool, value, tags);
        }
        else if (_pools.TryGetValue(pool, out var figures))
        {
            switch (instrument.Name)
            {
                case "db.client.connection.npgsql.pending_requests":
                    figures.Waiting(value);
                    break;
                case "db.client.connection.npgsql.timeouts":
                    figures.TimedOut(value);
                    break;
                default:
                    figures.CommandFailed(value);
                    break;
            }
        }
    }

    private void Observe(string pool, int value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (!_observed.TryGetValue(pool, out var counts))
        {
            _observed[pool] = counts = new();
        }

        // Sums: while a replaced pool drains, two pools have this name.
        switch (ValueOf("db.client.connection.state", tags))
        {
            case "idle":
                counts.Idle += value;
                break;
            case "used":
                counts.Active += value;
                break;
            case null:
                counts.Max = Math.Max(counts.Max, value);
                break;
        }
    }

    private static string? NameIn(ReadOnlySpan<KeyValuePair<string, object?>> tags) => ValueOf(PoolName, tags);

    private static string? ValueOf(string key, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        foreach (var tag in tags)
        {
            if (tag.Key == key)
            {
                return tag.Value as string;
            }
        }

        return null;
    }

    private sealed class Counts
    {
        public int Idle;
        public int Active;
        public int Max;
    }
}
