namespace NeoCommons.EfCore;

/// <summary>The questions to a server, one after the other, that it has not answered since it did last.</summary>
internal sealed class UnansweredProbes(TimeProvider time)
{
    // Who cancels sooner may have cancelled anything, and what takes no longer was refused.
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private long _succeededAt = long.MinValue;
    private long _firstAt;
    private int _inRow;

    /// <summary>Whether there are more than one: the first may have ended with what others meet.</summary>
    public bool AreSeveral => Volatile.Read(ref _inRow) > 1;

    /// <summary>Notes that a caller has got a connection.</summary>
    public void Served() => Volatile.Write(ref _succeededAt, time.GetTimestamp());

    /// <summary>Notes how a question has ended.</summary>
    public void Note(bool isAnswered, long begun)
    {
        Volatile.Write(ref _inRow, isAnswered ? 0 : _inRow + 1);
        _firstAt = _inRow == 1 ? begun : _firstAt;
    }

    /// <summary>Whether the server says nothing, to callers neither, and not only to the question that began then.</summary>
    public bool IsSilent(long begun) =>
        AreSeveral && time.GetElapsedTime(begun) >= Patience && Volatile.Read(ref _succeededAt) < _firstAt;
}
