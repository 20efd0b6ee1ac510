namespace NeoCommons.EfCore;

/// <summary>How many connections a pool may have open: as many as were in use at once since it was cleared.</summary>
/// <param name="gate">Counts those in use.</param>
internal sealed class PoolGrowth(FairGate gate)
{
    private int _most;

    /// <summary>The most that it can have.</summary>
    public int Most => Volatile.Read(ref _most);

    /// <summary>Whether the connection that a permit was taken for just now may be one more than the pool has had.</summary>
    public bool Grows()
    {
        var taken = gate.Taken;
        var most = Most;
        while (taken > most)
        {
            var found = Interlocked.CompareExchange(ref _most, taken, most);
            if (found == most)
            {
                return true;
            }

            most = found;
        }

        return false;
    }

    /// <summary>Notes that idle connections are closed now.</summary>
    /// <returns>How many those were at most.</returns>
    public int Shrink()
    {
        var inUse = gate.Taken;
        return Interlocked.Exchange(ref _most, inUse) - inUse;
    }
}
