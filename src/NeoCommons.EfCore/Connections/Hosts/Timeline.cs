namespace NeoCommons.EfCore;

/// <summary>The highest timeline that this process has seen of servers that replicate each other.</summary>
internal sealed class Timeline
{
    private long _newest;

    /// <summary>The highest; 0 where none was seen.</summary>
    public long Newest => Volatile.Read(ref _newest);

    /// <summary>Forgets it: it was of another server at the same address.</summary>
    public void Forget() => Volatile.Write(ref _newest, 0);

    /// <summary>Notes the timeline of a primary.</summary>
    public void See(long timeline)
    {
        for (var known = Newest; known < timeline; known = Newest)
        {
            Interlocked.CompareExchange(ref _newest, timeline, known);
        }
    }
}
