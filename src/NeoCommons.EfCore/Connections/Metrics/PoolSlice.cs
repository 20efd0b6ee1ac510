namespace NeoCommons.EfCore;

/// <summary>What a pool did in one slice of time.</summary>
internal sealed class PoolSlice : SlidingWindowSlice
{
    private DurationHistogram? _waits;
    private DurationHistogram? _commands;

    public int Created;
    public int NotAcquired;
    public int CommandFailures;
    public int Timeouts;
    public int Logins;
    public long LoginMicroseconds;

    /// <summary>How long callers waited for a connection; null where none got one.</summary>
    public DurationHistogram? Waits => Volatile.Read(ref _waits);

    /// <summary>How long commands took; null where none has ended.</summary>
    public DurationHistogram? Commands => Volatile.Read(ref _commands);

    public void Waited(double seconds) => Of(ref _waits).Record(seconds);

    public void Executed(double seconds) => Of(ref _commands).Record(seconds);

    private static DurationHistogram Of(ref DurationHistogram? histogram) =>
        Volatile.Read(ref histogram) ?? LazyInitializer.EnsureInitialized(ref histogram, static () => new());
}
