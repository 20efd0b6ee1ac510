using System.Collections.Concurrent;
using System.Diagnostics;

namespace NeoCommons.EfCore.Tests.Metrics;

/// <summary>Spans of the whole process: a test looks at those of its own request.</summary>
internal sealed class Spans : IDisposable
{
    private readonly ActivityListener _listener;
    private readonly ConcurrentQueue<Activity> _all = new();

    public Spans()
    {
        _listener = new()
        {
            ShouldListenTo = source => source.Name is NeoCommonsTelemetry.ActivitySource or "Npgsql",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = _all.Enqueue,
        };
        ActivitySource.AddActivityListener(_listener);
    }

    public IEnumerable<Activity> Of(string source, Activity request) =>
        _all.Where(a => a.Source.Name == source && a.TraceId == request.TraceId);

    public void Dispose() => _listener.Dispose();
}
