namespace NeoCommons.EfCore;

/// <summary>
/// A pool of connections in this process: what it holds at this moment, and what it did in the window
/// (<see cref="ConnectionOptions.MetricsWindow"/>).
/// </summary>
/// <remarks>docs/metrics.md has each value's definition and source.</remarks>
public sealed record PoolMetrics
{
    /// <summary>The connection's name.</summary>
    public required string ConnectionName { get; init; }

    /// <summary>Connections that are open and wait in the pool.</summary>
    public int Idle { get; init; }

    /// <summary>Connections that are leased.</summary>
    public int Active { get; init; }

    /// <summary>Callers that wait for a connection.</summary>
    public int Pending { get; init; }

    /// <summary>The most connections that the pool may open; 0 where the pool was not used yet.</summary>
    public int Max { get; init; }

    /// <summary>All open connections.</summary>
    public int Total => Idle + Active;

    /// <summary>The share of the pool that is leased, from 0.0 to 1.0.</summary>
    public double Saturation => Max == 0 ? 0 : Math.Min(1.0, (double)Active / Max);

    /// <summary>Callers that got a connection from this library, in the window.</summary>
    public long Acquisitions { get; init; }

    /// <summary>
    /// Callers that got none, in the window: <see cref="ConnectionUnavailableException"/> and other errors. Whoever gave up
    /// himself, or was sent on to the row's new pool, is not among them.
    /// </summary>
    public long FailedAcquisitions { get; init; }

    /// <summary>
    /// How long those who got a connection had waited for it: for a free one, for a new one's login, and for a bind that
    /// took a round trip. In the window; null where there were none.
    /// </summary>
    public DurationSummary? AcquisitionTime { get; init; }

    /// <summary>
    /// The share of <see cref="Acquisitions"/> that took no new physical connection, from 0.0 to 1.0, in the window; null
    /// where there were none.
    /// </summary>
    public double? PoolEfficiency { get; init; }

    /// <summary>
    /// Commands that have ended, in the window, raw ones too; 0 without
    /// <see cref="ConnectionOptions.CollectCommandMetrics"/>.
    /// </summary>
    public long Commands { get; init; }

    /// <summary>
    /// How long commands took, from their sending until their results were read, in the window; null where none has ended.
    /// </summary>
    public DurationSummary? ResponseTime { get; init; }

    /// <summary>Commands that the server answered with an error, one that cancels it included, in the window.</summary>
    public long RecentFailures { get; init; }

    /// <summary>The share of <see cref="Commands"/> that did not fail, from 0.0 to 1.0; null where there were none.</summary>
    public double? QuerySuccessRate => Commands == 0 ? null : Math.Clamp(1 - (double)RecentFailures / Commands, 0, 1);

    /// <summary>Physical connections that were opened, in the window.</summary>
    public long ConnectionsCreated { get; init; }

    /// <summary>How long it took to open one, on average, in milliseconds; null where none was.</summary>
    public double? AverageCreateMilliseconds { get; init; }

    /// <summary>Callers that waited for the whole pool timeout in vain, in the window.</summary>
    public long Timeouts { get; init; }

    /// <summary>
    /// How well the pool serves, from 0 to 100, by the window and the moment: 100 where it was not used. See docs/metrics.md
    /// for the formula.
    /// </summary>
    public int HealthScore => PoolHealthScore.Of(this);

    /// <summary>Whether the next caller would wait.</summary>
    internal bool IsFull => Max > 0 && Active >= Max;
}
