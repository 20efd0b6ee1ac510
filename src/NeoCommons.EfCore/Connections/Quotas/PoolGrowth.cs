namespace NeoCommons.EfCore;

/// <summary>How many connections a pool may have open: as many as were in use at once since it was cleared.</summary>
/// <remarks>Those in use have all their permits: who waits for the server's has none yet, though the pool's own counts him.</remarks>
internal sealed class PoolGrowth
{
    private int _inUse;
    private int _most;
    private int _opening;

    /// <summary>How many idle ones it may have.</summary>
    public int Idle => Math.Max(0, Volatile.Read(ref _most) - Volatile.Read(ref _inUse));

    /// <summary>How many are being opened.</summary>
    public int Opening => Volatile.Read(ref _opening);

    /// <summary>One is being opened, or is not any more.</summary>
    public void CountOpening(int more) => Interlocked.Add(ref _opening, more);

    /// <summary>A connection is in use from now on.</summary>
    /// <returns>Whether it may be one more than the pool has had.</returns>
    public bool Begin() => Raise(Interlocked.Increment(ref _inUse));

    /// <summary>It is no more.</summary>
    public void End() => Interlocked.Decrement(ref _inUse);

    /// <summary>Notes that idle connections are closed now.</summary>
    public void Shrink()
    {
        Volatile.Write(ref _most, Volatile.Read(ref _inUse));

        // One that began in between has found more than there is now.
        Interlocked.MemoryBarrier();
        Raise(Volatile.Read(ref _inUse));
    }

    private bool Raise(int inUse)
    {
        var most = Volatile.Read(ref _most);
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
}
