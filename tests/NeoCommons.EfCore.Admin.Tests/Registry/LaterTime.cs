namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>A clock that can be put forward; what waits is not woken by it.</summary>
internal sealed class LaterTime : TimeProvider
{
    private long _ahead;

    public void PutForward(TimeSpan time) => Interlocked.Add(ref _ahead, time.Ticks);

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Ahead;

    public override long GetTimestamp() => base.GetTimestamp() + (long)(Ahead.TotalSeconds * TimestampFrequency);

    private TimeSpan Ahead => new(Interlocked.Read(ref _ahead));
}
