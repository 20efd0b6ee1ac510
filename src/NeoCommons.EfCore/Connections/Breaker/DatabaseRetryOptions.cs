namespace NeoCommons.EfCore;

/// <summary>How often work on a database is tried, and what is waited in between.</summary>
public sealed class DatabaseRetryOptions
{
    /// <summary>How often the work is done again at most. <value>Default: 3; at least 1.</value></summary>
    public int MaxRetryAttempts { get; set; } = 3;

    /// <summary>The wait before the first retry; it doubles, and varies at random. <value>Default: 200 ms.</value></summary>
    public TimeSpan Delay { get; set; } = TimeSpan.FromMilliseconds(200);

    /// <summary>
    /// The longest that the wait grows to. Where an exception says to wait longer (<c>RetryAfter</c>), that is waited for all the
    /// same. <value>Default: 5 s.</value>
    /// </summary>
    /// <remarks>
    /// After an exception that says how long, up to as much again as the wait has grown to is added at random, so at most this:
    /// all who were refused were told the same, and would come back at the same moment.
    /// </remarks>
    public TimeSpan MaxDelay { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>What is waited after an exception that says how long to wait.</summary>
    /// <param name="wait">What it says.</param>
    /// <param name="attempt">How often the work was done again already.</param>
    internal TimeSpan DelayAfter(TimeSpan wait, int attempt)
    {
        var grown = Delay.TotalMilliseconds * Math.Pow(2, Math.Min(attempt, 40));
        var own = TimeSpan.FromMilliseconds(Math.Min(grown, MaxDelay.TotalMilliseconds));
        return (wait > own ? wait : own) + (own * Random.Shared.NextDouble());
    }
}
