namespace NeoCommons.EfCore;

/// <summary>What was recorded in one slice of a <see cref="SlidingWindow{T}"/>.</summary>
internal abstract class SlidingWindowSlice
{
    /// <summary>How many there are at a time.</summary>
    public const int Most = 6;

    /// <summary>Which slice of time it is.</summary>
    public long Number { get; init; }
}
