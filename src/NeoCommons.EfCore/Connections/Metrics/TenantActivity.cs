namespace NeoCommons.EfCore;

/// <summary>What one tenant does with one pool: what it holds, and what it did lately.</summary>
internal sealed class TenantActivity(TimeSpan window, TimeProvider time)
{
    private readonly Lock _holding = new();
    private readonly SlidingWindow<Slice> _window = new(window, time);
    private int _open;
    private long _opened;

    /// <summary>The tenant has all that a connection takes, and opens it now.</summary>
    /// <returns>When that was, for <see cref="Returned"/>.</returns>
    public long Acquired()
    {
        var now = time.GetTimestamp();
        lock (_holding)
        {
            _open++;
            _opened += now;
        }

        Interlocked.Increment(ref _window.Current.Acquisitions);
        return now;
    }

    /// <summary>It is no more.</summary>
    public void Returned(long acquired)
    {
        lock (_holding)
        {
            _open--;
            _opened -= acquired;
        }

        Interlocked.Add(ref _window.Current.Held, time.GetTimestamp() - acquired);
    }

    /// <summary>A command is sent.</summary>
    public void Sent() => Interlocked.Increment(ref _window.Current.Commands);

    /// <summary>A limit has refused something.</summary>
    public void Refused() => Interlocked.Increment(ref _window.Current.Refusals);

    /// <summary>Adds all of it to what is known of the tenant.</summary>
    public TenantUsage Complete(TenantUsage usage)
    {
        int open;
        long held;
        lock (_holding)
        {
            open = _open;
            held = (open * time.GetTimestamp()) - _opened;
        }

        Slice[] slices = [.. _window.Live];
        held += slices.Sum(s => Interlocked.Read(ref s.Held));
        return usage with
        {
            Open = open,
            ConnectionTime = TimeSpan.FromSeconds((double)held / time.TimestampFrequency),
            Acquisitions = slices.Sum(s => (long)Volatile.Read(ref s.Acquisitions)),
            Commands = slices.Sum(s => (long)Volatile.Read(ref s.Commands)),
            Refusals = slices.Sum(s => (long)Volatile.Read(ref s.Refusals)),
        };
    }

    private sealed class Slice : SlidingWindowSlice
    {
        public long Held;
        public int Acquisitions;
        public int Commands;
        public int Refusals;
    }
}
