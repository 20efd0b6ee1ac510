namespace NeoCommons.EfCore;

/// <summary>How a server was found at the last look.</summary>
/// <param name="Answer">What it said; null where it did not answer.</param>
/// <param name="Refusal">Why it serves nobody, as the end of a sentence; null where it may.</param>
/// <param name="CaughtUpAt">A time at which a standby lacked nothing of what it has replayed since.</param>
internal sealed record HostState(HostAnswer? Answer, string? Refusal, long CaughtUpAt)
{
    /// <summary>Before the first look.</summary>
    public static HostState Unseen { get; } = new(null, "it has not been looked at yet", long.MinValue);
}
