using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace NeoCommons.EfCore;

/// <summary>Reads pools from Npgsql's own meter: the driver keeps its counts internal otherwise.</summary>
internal sealed class PoolMeter : IDisposable
{
    private const string PoolName = "db.client.connection.pool.name";

    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<string, Counts> _pending = new(StringComparer.Ordinal);
    private readonly Lock _reading = new();
    private Dictionary<string, Counts> _observed = new(StringComparer.Ordinal);

    public PoolMeter()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (
                instrument.Meter.Name == "Npgsql"
                && instrument.Name
                    is "db.client.connection.count"
                        or "db.client.connection.max"
                        or "db.client.connection.npgsql.pending_requests"
            )
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<int>(Record);
        _listener.Start();
    }

    /// <summary>The pool of one connection.</summary>
    public PoolMetrics Read(string connectionName)
    {
        lock (_reading)
        {
            Observe();
            return Of(connectionName);
        }
    }

    /// <summary>The pools of all connections, in one look.</summary>
    public IReadOnlyDictionary<string, PoolMetrics> ReadAll()
    {
        lock (_reading)
        {
            Observe();
            return _observed.Keys.ToDictionary(name => name, Of, StringComparer.Ordinal);
        }
    }

    private void Observe()
    {
        _observed = new(StringComparer.Ordinal);
        _listener.RecordObservableInstruments();
    }

    private PoolMetrics Of(string connectionName)
    {
        _observed.TryGetValue(connectionName, out var now);
        _pending.TryGetValue(connectionName, out var waiting);
        return new PoolMetrics
        {
            ConnectionName = connectionName,
            Idle = now?.Idle ?? 0,
            Active = now?.Active ?? 0,
            Max = now?.Max ?? 0,
            Pending = waiting?.Pending ?? 0,
        };
    }

    public void Dispose() => _listener.Dispose();

    private void Record(
        Instrument instrument,
        int value,
        ReadOnlySpan<KeyValuePair<string, object?>> tags,
        object? state
    )
    {
        string? pool = null;
        string? kind = null;
        foreach (var tag in tags)
        {
            if (tag.Key == PoolName)
            {
                pool = tag.Value as string;
            }
            else if (tag.Key == "db.client.connection.state")
            {
                kind = tag.Value as string;
            }
        }

        if (pool is null)
        {
            return;
        }

        if (!instrument.IsObservable)
        {
            Interlocked.Add(ref _pending.GetOrAdd(pool, static _ => new()).Pending, value);
            return;
        }

        if (!_observed.TryGetValue(pool, out var counts))
        {
            _observed[pool] = counts = new();
        }

        // Sums: while a replaced pool drains, two pools have this name.
        switch (kind)
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

    private sealed class Counts
    {
        public int Idle;
        public int Active;
        public int Max;
        public int Pending;
    }
}
