using HdrHistogram;

namespace NeoCommons.EfCore;

/// <summary>Counts durations from a microsecond to an hour, each within one hundredth of its value.</summary>
/// <remarks>
/// The histogram's own concurrent kind makes four atomic operations of each value and takes a lock for each count that is
/// read; here it is one, and none. 14 kB. The total is added up when it is asked for.
/// </remarks>
internal sealed class DurationHistogram : HistogramBase
{
    public const int Digits = 2;

    /// <summary>An hour, in microseconds; what takes longer counts as an hour.</summary>
    public const long Longest = 3_600_000_000;

    private readonly int[] _counts;

    public DurationHistogram()
        : base(1, Longest, Digits) => _counts = new int[(BucketCount + 1) * (SubBucketCount / 2)];

    public override long TotalCount
    {
        get => _counts.Sum(count => (long)count);
        protected set { }
    }

    protected override int WordSizeInBytes => sizeof(int);

    protected override long MaxAllowableCount => int.MaxValue;

    public void Record(double seconds) => RecordValue(Math.Clamp((long)(seconds * 1e6), 0, Longest));

    public override HistogramBase Copy()
    {
        var copy = new DurationHistogram();
        copy.Add(this);
        return copy;
    }

    protected override long GetCountAtIndex(int index) => Volatile.Read(ref _counts[index]);

    protected override void SetCountAtIndex(int index, long value) => Volatile.Write(ref _counts[index], (int)value);

    protected override void IncrementCountAtIndex(int index) => Interlocked.Increment(ref _counts[index]);

    protected override void AddToCountAtIndex(int index, long addend) =>
        Interlocked.Add(ref _counts[index], (int)addend);

    protected override void ClearCounts() => Array.Clear(_counts);

    protected override void CopyCountsInto(long[] target)
    {
        for (var i = 0; i < target.Length; i++)
        {
            target[i] = _counts[i];
        }
    }
}
