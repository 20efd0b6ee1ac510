using System.Runtime.CompilerServices;

namespace NeoCommons.EfCore;

/// <summary>What was recorded lately, in slices of time: the oldest one is dropped as a new one begins.</summary>
/// <remarks>
/// Recording takes no lock and allocates once a slice. Six slices, the present one included, so that a window of a minute
/// covers the last 50 to 60 seconds.
/// </remarks>
internal sealed class SlidingWindow<T>(TimeSpan length, TimeProvider time)
    where T : SlidingWindowSlice, new()
{
    private readonly long _ticks = Math.Max(
        1,
        (long)(length.TotalSeconds * time.TimestampFrequency / SlidingWindowSlice.Count)
    );
    private Places _slices;

    /// <summary>The slice of now.</summary>
    public T Current
    {
        get
        {
            var number = Number;
            ref var place = ref _slices[(int)(number % SlidingWindowSlice.Count)];
            var slice = Volatile.Read(ref place);

            // Whoever was held up for a whole window records where others are by now.
            while (slice is null || slice.Number < number)
            {
                var begun = new T { Number = number };
                var found = Interlocked.CompareExchange(ref place, begun, slice);
                slice = ReferenceEquals(found, slice) ? begun : found;
            }

            return slice;
        }
    }

    /// <summary>The slices that are in the window now; lets go of those that are not.</summary>
    public IEnumerable<T> Live
    {
        get
        {
            var oldest = Number - SlidingWindowSlice.Count + 1;
            for (var i = 0; i < SlidingWindowSlice.Count; i++)
            {
                if (Volatile.Read(ref _slices[i]) is not { } slice)
                {
                    continue;
                }

                if (slice.Number >= oldest)
                {
                    yield return slice;
                }
                else
                {
                    Interlocked.CompareExchange(ref _slices[i], null, slice);
                }
            }
        }
    }

    private long Number => time.GetTimestamp() / _ticks;

    // In place: there is a window for each tenant.
    [InlineArray(SlidingWindowSlice.Count)]
    private struct Places
    {
        private T? _first;
    }
}
