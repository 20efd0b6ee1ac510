using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore;

/// <summary>Whether all servers of a connection are away: then callers are told so, and only the looks try.</summary>
/// <param name="source">The pool.</param>
/// <param name="hosts">Its servers.</param>
/// <param name="rebuildAfter">How long it lasts before the pool is built anew at its end: with other types, for one.</param>
/// <param name="rebuild">Builds it anew.</param>
/// <param name="log">Is told when it begins and ends.</param>
/// <param name="time">The clock.</param>
internal sealed class HostOutage(
    PooledDataSource source,
    IReadOnlyList<RowHost> hosts,
    TimeSpan rebuildAfter,
    Action rebuild,
    ILogger log,
    TimeProvider time
)
{
    private readonly Lock _changing = new();
    private volatile bool _isOn;
    private long _changedAt;
    private int _hasFailedOver;

    /// <summary>Whether they are.</summary>
    public bool IsOn => _isOn;

    /// <summary>When it has begun or ended last; 0 where it never has.</summary>
    public long ChangedAt => Volatile.Read(ref _changedAt);

    /// <summary>For how long callers have been refused; null while they are not.</summary>
    public ConnectionOutage? Now
    {
        get
        {
            lock (_changing)
            {
                return _isOn
                    ? ConnectionOutage.Of(ConnectionUnavailableReason.NoHost, time.GetElapsedTime(_changedAt))
                    : null;
            }
        }
    }

    /// <summary>Notes what a look has found.</summary>
    public void Note(bool areAway)
    {
        TimeSpan lasted;
        lock (_changing)
        {
            if (areAway == _isOn)
            {
                return;
            }

            _isOn = areAway;
            var now = time.GetTimestamp();
            lasted = time.GetElapsedTime(_changedAt, now);
            Volatile.Write(ref _changedAt, now);
            if (areAway)
            {
                Volatile.Write(ref _hasFailedOver, 0);
            }
        }

        if (areAway)
        {
            LogMessages.BreakerOpened(log, source.Row.Name, Text);
            source.EndWaiting();
            return;
        }

        LogMessages.BreakerClosed(log, source.Row.Name, lasted.TotalSeconds);
        if (lasted >= rebuildAfter)
        {
            rebuild();
        }
    }

    /// <summary>Notes that another connection is used meanwhile; logs it once for each outage.</summary>
    public void NoteFailover(string failover)
    {
        if (Interlocked.Exchange(ref _hasFailedOver, 1) == 0)
        {
            LogMessages.FailedOver(log, source.Row.Name, failover);
        }
    }

    /// <exception cref="ConnectionUnavailableException">They are: whoever asked would only wait, or find that out himself.</exception>
    public void ThrowIfOn()
    {
        if (_isOn)
        {
            throw OpenFailure.NoHost(source.Row, Text);
        }
    }

    private string Text =>
        $"none of its hosts {string.Join(',', hosts.Select(host => host.Address))} lets anybody in, or has answered for some "
        + "seconds. Check that one of them runs, and that the network leads there";
}
