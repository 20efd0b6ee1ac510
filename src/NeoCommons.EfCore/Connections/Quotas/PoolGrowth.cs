namespace NeoCommons.EfCore;

/// <summary>How many connections a pool may have open: as many as were in use at once since it was cleared.</summary>
/// <remarks>Those in use have all their permits: who waits for the server's has none yet, though the pool's own counts him.</remarks>
internal sealed class PoolGrowth
{
    private int _inUse;
    private int _most;

    /// <summary>The most that it can have.</summary>
    public int Most => Volatile.Read(ref _most);

    /// <summary>How many of them are idle at most.</summary>
    public int Idle => Math.Max(0, Most - Volatile.Read(ref _inUse));

    /// <summary>A connection is in use from now on.</summary>
    /// <returns>Whether it may be one more than the pool has had.</returns>
    public bool Begin()
    {
        var inUse = Interlocked.Increment(ref _inUse);
        var most = Most;
        while (inUse > most)
        {
            var found = Interlocked.CompareExchange(ref _most, inUse, most);
            if (found == most)
            {
                return true;
            }

            most = found;
        }

        return false;
    }

    /// <summary>It is no more.</summary>
    public void End() => Interlocked.Decrement(ref _inUse);

    /// <summary>Notes that idle connections are closed now.</summary>
    /// <returns>How many those were at most.</returns>
    public int Shrink()
    {
        var inUse = Volatile.Read(ref _inUse);
        return Math.Max(0, Interlocked.Exchange(ref _most, inUse) - inUse);
    }
}
