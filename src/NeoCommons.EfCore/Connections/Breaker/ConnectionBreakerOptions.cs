namespace NeoCommons.EfCore;

/// <summary>When a connection counts as out of order, and how its return is looked for. Section <c>NeoCommons:Connections:Breaker</c>.</summary>
/// <remarks>
/// What counts is whether a connection to the server can be opened: a server that cannot be reached, shuts down, starts up or
/// has no slot left is a failure; a refused password, a missing database and a full pool of this process are not.
/// </remarks>
public sealed class ConnectionBreakerOptions
{
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Longest = TimeSpan.FromDays(1);

    /// <summary>The share of failed opens from which callers are refused. <value>Default: 0.5; more than 0, at most 1.</value></summary>
    /// <remarks>
    /// Opens are counted from a first failure on, and until the server has answered once: the successes of good times do not
    /// delay the moment at which a dead server is noticed.
    /// </remarks>
    public double FailureRatio { get; set; } = 0.5;

    /// <summary>The fewest opens that say anything. <value>Default: 5; at least 2.</value></summary>
    public int MinimumThroughput { get; set; } = 5;

    /// <summary>For how long an open counts. <value>Default: 10 s; 500 ms to 1 day.</value></summary>
    public TimeSpan SamplingDuration { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How long after a failure the server is asked again, by one connection of its own and never by a caller.
    /// <value>Default: 500 ms; 500 ms to 1 day.</value> It is what callers are told to wait, and about how late a recovery is
    /// noticed.
    /// </summary>
    public TimeSpan BreakDuration { get; set; } = Shortest;

    /// <summary>How long that connection may take to open. <value>Default: 5 s; 500 ms to 1 day.</value></summary>
    public TimeSpan ProbeTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// The length of an outage after which the pool is built anew: another server may answer now, with other types and another
    /// pooler before it. <value>Default: 30 s; at most 1 day.</value>
    /// </summary>
    public TimeSpan RebuildAfter { get; set; } = TimeSpan.FromSeconds(30);

    internal IEnumerable<string> FindFaults()
    {
        const string Section = "NeoCommons:Connections:Breaker";
        if (FailureRatio is not (> 0 and <= 1))
        {
            yield return $"{Section}:{nameof(FailureRatio)} is {FailureRatio}; it must be more than 0, and at most 1.";
        }

        if (MinimumThroughput < 2)
        {
            yield return $"{Section}:{nameof(MinimumThroughput)} is {MinimumThroughput}; it must be at least 2.";
        }

        foreach (
            var (name, value) in new[]
            {
                (nameof(SamplingDuration), SamplingDuration),
                (nameof(BreakDuration), BreakDuration),
                (nameof(ProbeTimeout), ProbeTimeout),
            }
        )
        {
            if (value < Shortest || value > Longest)
            {
                yield return $"{Section}:{name} is {value}; it must be between 500 ms and 1 day.";
            }
        }

        if (RebuildAfter < TimeSpan.Zero || RebuildAfter > Longest)
        {
            yield return $"{Section}:{nameof(RebuildAfter)} is {RebuildAfter}; it must be between 0 and 1 day.";
        }
    }
}
