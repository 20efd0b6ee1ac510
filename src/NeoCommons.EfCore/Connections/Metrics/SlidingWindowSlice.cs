namespace NeoCommons.EfCore;

/// <summary>What was recorded in one slice of a <see cref="SlidingWindow{T}"/>.</summary>
internal abstract class SlidingWindowSlice
{
    /// <summary>How many a window has.</summary>
    public const int Count = 6;

    /// <summary>Which slice of time it is.</summary>
    public long Number { get; init; }
}
