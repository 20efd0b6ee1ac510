using System.Diagnostics.Metrics;

namespace NeoCommons.EfCore;

/// <summary>What is known of the pools of one name in this process. Recording takes no lock and allocates nothing.</summary>
/// <remarks>
/// At most 170 kB for a pool that is used all the time (two histograms a slice), and next to nothing for one that is not.
/// </remarks>
internal sealed class PoolFigures(
    string connection,
    ConnectionInstruments instruments,
    TimeSpan window,
    TimeProvider time
)
{
    private static readonly KeyValuePair<string, object?> Created = new("neocommons.connection.created", true);
    private static readonly KeyValuePair<string, object?> Reused = new("neocommons.connection.created", false);

    private static readonly KeyValuePair<string, object?> OverQuota = new("error.type", Acquisition.OverQuota);
    private static readonly KeyValuePair<string, object?> OverCommandQuota = new("error.type", "TenantCommandQuota");

    private readonly KeyValuePair<string, object?> _tag = new(NeoCommonsTelemetry.ConnectionTag, connection);
    private readonly SlidingWindow<PoolSlice> _window = new(window, time);
    private int _pending;
    private long _timeouts;

    public string Connection => connection;

    /// <summary>Callers that wait; below zero for a moment, where a wait was begun before anybody counted.</summary>
    public int Pending => Math.Max(0, Volatile.Read(ref _pending));

    /// <summary>The pools of this name that are not closed yet. Changed under the lock of <see cref="PoolMeter"/>.</summary>
    public int Pools { get; set; }

    public void Waiting(int change) => Interlocked.Add(ref _pending, change);

    public void Acquired(TimeSpan wait, bool created)
    {
        var slice = _window.Current;
        slice.Waited(wait.TotalSeconds);
        if (created)
        {
            Interlocked.Increment(ref slice.Created);
        }

        instruments.WaitTime.Record(wait.TotalSeconds, _tag);
        instruments.Acquisitions.Add(1, _tag, created ? Created : Reused);
    }

    /// <param name="reason">One of a few words.</param>
    /// <param name="counts">Whether it is the pool's failure.</param>
    public void NotAcquired(string reason, bool counts)
    {
        if (counts)
        {
            Interlocked.Increment(ref _window.Current.NotAcquired);
        }

        instruments.Failures.Add(1, _tag, new("error.type", reason));
    }

    /// <summary>A tenant has sent as many commands as it may: one more was not sent.</summary>
    public void CommandRefused() => Count(instruments.Failures, OverCommandQuota);

    /// <summary>An application has opened a connection itself that its tenant may not have.</summary>
    public void ConnectionRefused() => Count(instruments.Failures, OverQuota);

    public void Returned(TimeSpan held)
    {
        try
        {
            instruments.UseTime.Record(held.TotalSeconds, _tag);
        }
        catch (Exception)
        {
            // A listener of the application failed. One measurement less: what was taken must be given back.
        }
    }

    public void BoundApart() => Count(instruments.BindRoundTrips);

    public void Replaced() => Count(instruments.Replacements);

    public void Executed(double seconds) => _window.Current.Executed(seconds);

    public void CommandFailed(int count) => Interlocked.Add(ref _window.Current.CommandFailures, count);

    /// <summary>Callers who have waited in vain, since the first pool of the name.</summary>
    public long Timeouts => Interlocked.Read(ref _timeouts);

    public void TimedOut(int count)
    {
        Interlocked.Add(ref _timeouts, count);
        Interlocked.Add(ref _window.Current.Timeouts, count);
    }

    public void LoggedIn(double seconds)
    {
        var slice = _window.Current;
        Interlocked.Increment(ref slice.Logins);
        Interlocked.Add(ref slice.LoginMicroseconds, (long)(seconds * 1e6));
    }

    /// <summary>Adds what happened in the window.</summary>
    public PoolMetrics Complete(PoolMetrics pool)
    {
        PoolSlice[] slices = [.. _window.Live];
        var (acquisitions, waits) = DurationSummary.Of(slices.Select(s => s.Waits));
        var (commands, responses) = DurationSummary.Of(slices.Select(s => s.Commands));
        var logins = slices.Sum(s => (long)Volatile.Read(ref s.Logins));
        return pool with
        {
            Acquisitions = acquisitions,
            FailedAcquisitions = slices.Sum(s => (long)Volatile.Read(ref s.NotAcquired)),
            AcquisitionTime = waits,
            PoolEfficiency =
                acquisitions == 0
                    ? null
                    : Math.Clamp(
                        1 - ((double)slices.Sum(s => (long)Volatile.Read(ref s.Created)) / acquisitions),
                        0,
                        1
                    ),
            Commands = commands,
            ResponseTime = responses,
            RecentFailures = slices.Sum(s => (long)Volatile.Read(ref s.CommandFailures)),
            ConnectionsCreated = logins,
            AverageCreateMilliseconds =
                logins == 0
                    ? null
                    : Math.Round(slices.Sum(s => Interlocked.Read(ref s.LoginMicroseconds)) / 1_000.0 / logins, 3),
            Timeouts = slices.Sum(s => (long)Volatile.Read(ref s.Timeouts)),
        };
    }

    private void Count(Counter<long> counter, params ReadOnlySpan<KeyValuePair<string, object?>> more)
    {
        try
        {
            counter.Add(1, [_tag, .. more]);
        }
        catch (Exception)
        {
            // A listener of the application failed: a bind or a change of pools must not end in the middle, nor its error be the answer.
        }
    }
}
