namespace NeoCommons.EfCore;

/// <summary>How often work on a database is tried, and what is waited in between.</summary>
public sealed class DatabaseRetryOptions
{
    /// <summary>How often the work is done again at most. <value>Default: 3; at least 1.</value></summary>
    public int MaxRetryAttempts { get; set; } = 3;

    /// <summary>The wait before the first retry; it doubles, and varies at random. <value>Default: 200 ms.</value></summary>
    public TimeSpan Delay { get; set; } = TimeSpan.FromMilliseconds(200);

    /// <summary>The longest wait. <value>Default: 5 s.</value></summary>
    public TimeSpan MaxDelay { get; set; } = TimeSpan.FromSeconds(5);
}
