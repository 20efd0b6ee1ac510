namespace NeoCommons.EfCore;

/// <summary>Has a pool replace its connections, each when it is not in use.</summary>
/// <remarks>
/// All of them: the driver has no door to a single one, and breaking it would clear the pool too. They serve the same
/// tenants, so when one has seen enough the others nearly have.
/// </remarks>
internal sealed class PoolRenewal(PooledDataSource source, TimeProvider time)
{
    private long _begunAt = long.MinValue;

    /// <summary>Begins it, unless it has begun since one was opened.</summary>
    /// <param name="since">When the one that has seen enough was opened.</param>
    public void Begin(long since)
    {
        var last = Interlocked.Read(ref _begunAt);
        if (since >= last && Interlocked.CompareExchange(ref _begunAt, time.GetTimestamp(), last) == last)
        {
            source.Clear();
        }
    }
}
