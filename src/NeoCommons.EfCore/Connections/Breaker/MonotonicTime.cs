namespace NeoCommons.EfCore;

/// <summary>A clock that nobody sets: its date is the time since it was made.</summary>
/// <remarks>Polly reckons by dates. A clock that is put back an hour would keep a breaker open for as long.</remarks>
internal sealed class MonotonicTime(TimeProvider time) : TimeProvider
{
    private static readonly DateTimeOffset Beginning = DateTimeOffset.UnixEpoch;

    private readonly long _start = time.GetTimestamp();

    public override long TimestampFrequency => time.TimestampFrequency;

    public override DateTimeOffset GetUtcNow() => Beginning + time.GetElapsedTime(_start);

    public override long GetTimestamp() => time.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        time.CreateTimer(callback, state, dueTime, period);
}
