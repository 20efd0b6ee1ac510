using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace NeoCommons.EfCore.Tests.Metrics;

/// <summary>What our meter tells of one connection, as text.</summary>
internal sealed class Heard : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentQueue<string> _all = new();
    private readonly string _connection;

    public Heard(string connection)
    {
        _connection = connection;
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == NeoCommonsTelemetry.Meter)
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<double>((i, value, tags, _) => Note(i, value, tags));
        _listener.SetMeasurementEventCallback<long>((i, value, tags, _) => Note(i, value, tags));
        _listener.SetMeasurementEventCallback<int>((i, value, tags, _) => Note(i, value, tags));
        _listener.Start();
    }

    public IReadOnlyCollection<string> All => _all;

    public void Observe() => _listener.RecordObservableInstruments();

    public int Count(string instrument, string tag = "") =>
        _all.Count(m =>
            m.StartsWith(instrument + " ", StringComparison.Ordinal)
            && m.Contains($"pool.name={_connection} ", StringComparison.Ordinal)
            && m.Contains(tag, StringComparison.Ordinal)
        );

    public void Dispose() => _listener.Dispose();

    private void Note<T>(Instrument instrument, T value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var text = instrument.Name + " ";
        foreach (var tag in tags)
        {
            text += $"{tag.Key}={tag.Value} ";
        }

        _all.Enqueue($"{text}={value}.");
    }
}
