namespace NeoCommons.EfCore;

/// <summary>When a connection counts as degraded or unhealthy.</summary>
public sealed class ConnectionHealthOptions
{
    /// <summary>How long a connection may take to answer before it counts as unhealthy. <value>Default: 5 s; at most 1 day.</value></summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>The answer time from which it counts as degraded. <value>Default: 1 s.</value></summary>
    public TimeSpan SlowAfter { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>The share of leased connections from which a pool counts as degraded. <value>Default: 0.9.</value></summary>
    public double SaturatedFrom { get; set; } = 0.9;

    /// <summary>How many connections are looked at at the same time. <value>Default: 8.</value></summary>
    public int Parallelism { get; set; } = 8;

    internal IEnumerable<string> FindFaults()
    {
        if (Timeout <= TimeSpan.Zero || Timeout > TimeSpan.FromDays(1))
        {
            yield return $"{nameof(ConnectionHealthOptions)}.{nameof(Timeout)} is {Timeout}; it must be more than 0, and at "
                + "most 1 day.";
        }

        if (SlowAfter <= TimeSpan.Zero)
        {
            yield return $"{nameof(ConnectionHealthOptions)}.{nameof(SlowAfter)} is {SlowAfter}; it must be more than 0.";
        }

        if (SaturatedFrom is not (> 0 and <= 1))
        {
            yield return $"{nameof(ConnectionHealthOptions)}.{nameof(SaturatedFrom)} is {SaturatedFrom}; it must be more than "
                + "0, and at most 1.";
        }

        if (Parallelism < 1)
        {
            yield return $"{nameof(ConnectionHealthOptions)}.{nameof(Parallelism)} is {Parallelism}; it must be at least 1.";
        }
    }
}
