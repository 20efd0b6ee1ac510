using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Runtime.ExceptionServices;

namespace NeoCommons.EfCore.Admin.Tests.Secrets.Leaks;

/// <summary>Hears all that a process tells about itself: logs, traces, metrics, diagnostic events, every exception that is thrown.</summary>
internal sealed class LeakRecorder : IDisposable
{
    public const string Logs = "log";
    public const string Traces = "trace";
    public const string Metrics = "metric";
    public const string Exceptions = "exception";
    public const string Events = "diagnostic event";

    private readonly ConcurrentQueue<(string Where, string Text)> _texts = new();
    private readonly ConcurrentQueue<Exception> _thrown = new();
    private readonly ActivityListener _activities;
    private readonly MeterListener _meters = new();
    private readonly DiagnosticRecorder _diagnostics;

    public LeakRecorder()
    {
        _activities = new ActivityListener
        {
            ShouldListenTo = _ => true,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = Hear,
        };
        ActivitySource.AddActivityListener(_activities);
        _meters.InstrumentPublished = (instrument, listener) =>
        {
            // Not the runtime's own: those tell of all tests of the process.
            if (!instrument.Meter.Name.StartsWith("System.", StringComparison.Ordinal))
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _meters.SetMeasurementEventCallback<int>((i, _, tags, _) => Hear(i, tags));
        _meters.SetMeasurementEventCallback<long>((i, _, tags, _) => Hear(i, tags));
        _meters.SetMeasurementEventCallback<double>((i, _, tags, _) => Hear(i, tags));
        _meters.Start();
        _diagnostics = new DiagnosticRecorder(text => Add(Events, text));
        AppDomain.CurrentDomain.FirstChanceException += Hear;
    }

    /// <summary>The log of the application: add it to its services.</summary>
    public LogRecorder Log { get; } = new();

    /// <summary>Something that has left the application by another way: what a command wrote, what a cache holds.</summary>
    public void Add(string where, string text) => _texts.Enqueue((where, text));

    /// <summary>All of it.</summary>
    public IReadOnlyList<(string Where, string Text)> Read()
    {
        _meters.RecordObservableInstruments();
        return
        [
            .. _texts,
            .. Log.Lines.Select(line => (Logs, line)),
            .. _thrown.Distinct().Select(e => (Exceptions, Texts.Of(e))),
        ];
    }

    public void Dispose()
    {
        AppDomain.CurrentDomain.FirstChanceException -= Hear;
        _activities.Dispose();
        _meters.Dispose();
        _diagnostics.Dispose();
        Log.Dispose();
    }

    private void Hear(object? sender, FirstChanceExceptionEventArgs thrown) => _thrown.Enqueue(thrown.Exception);

    private void Hear(Activity activity) =>
        Add(
            Traces,
            $"{activity.Source.Name} {activity.OperationName} {activity.DisplayName} {activity.StatusDescription} "
                + Texts.OfValue(activity.TagObjects)
                + Texts.OfValue(activity.Baggage)
                + string.Join(' ', activity.Events.Select(e => e.Name + Texts.OfValue(e.Tags)))
        );

    private void Hear(Instrument instrument, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
        Add(Metrics, $"{instrument.Meter.Name} {instrument.Name} {Texts.OfValue(tags.ToArray())}");
}
