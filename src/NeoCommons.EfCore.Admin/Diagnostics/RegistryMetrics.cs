using System.Diagnostics.Metrics;

namespace NeoCommons.EfCore.Admin;

/// <summary>The meter <c>NeoCommons.EfCore.Admin</c>: how fresh the registry is in this process.</summary>
internal sealed class RegistryMetrics : IDisposable
{
    public const string MeterName = "NeoCommons.EfCore.Admin";

    private readonly TimeProvider _time;
    private readonly long _started;
    private readonly Counter<long> _changes;
    private readonly Counter<long> _lastKnown;
    private readonly Counter<long> _shared;
    private long _caughtUp;
    private int _unbound = -1;
    private volatile bool _isListening;

    public RegistryMetrics(TimeProvider time)
    {
        _time = time;
        _started = time.GetTimestamp();
        _changes = Meter.CreateCounter<long>(
            "neocommons.registry.changes",
            "{change}",
            "Changes of the registry that this process has taken in."
        );
        _lastKnown = Meter.CreateCounter<long>(
            "neocommons.registry.last_known",
            "{lookup}",
            "Lookups answered with what was known last, because the admin database did not answer."
        );
        _shared = Meter.CreateCounter<long>(
            "neocommons.registry.shared_cache",
            "{lookup}",
            "Lookups in Redis, by result: hit, miss, stale, rejected, failed."
        );
        Meter.CreateObservableGauge(
            "neocommons.registry.age",
            () => Age is { } age ? [new Measurement<double>(age.TotalSeconds)] : Array.Empty<Measurement<double>>(),
            "s",
            "How long ago the changes of the registry were read; none before the first time."
        );
        Meter.CreateObservableGauge(
            "neocommons.registry.unbound_passwords",
            () =>
                Volatile.Read(ref _unbound) is >= 0 and var count
                    ? [new Measurement<int>(count)]
                    : Array.Empty<Measurement<int>>(),
            "{connection}",
            "Active connections whose stored password is bound to no target, as Python writes it; none before they were read."
        );
    }

    /// <summary>How long ago the changes were read; null before the first time.</summary>
    public TimeSpan? Age => Interlocked.Read(ref _caughtUp) is not 0 and var at ? _time.GetElapsedTime(at) : null;

    /// <summary>How long this process has had a registry.</summary>
    public TimeSpan Uptime => _time.GetElapsedTime(_started);

    public Meter Meter { get; } = new(MeterName);

    /// <summary>Whether a session listens for changes; without one they are looked for.</summary>
    public bool IsListening
    {
        get => _isListening;
        set => _isListening = value;
    }

    public void CaughtUp(int changes)
    {
        Interlocked.Exchange(ref _caughtUp, _time.GetTimestamp());
        _changes.Add(changes);
    }

    public void HaveUnbound(int count) => Volatile.Write(ref _unbound, count);

    public void ServedLastKnown() => _lastKnown.Add(1);

    public void AskedShared(string result) => _shared.Add(1, new KeyValuePair<string, object?>("result", result));

    public void Dispose() => Meter.Dispose();
}
