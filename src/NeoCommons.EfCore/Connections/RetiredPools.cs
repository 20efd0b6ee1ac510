using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore;

/// <summary>The pools that no new lease is of, while they drain.</summary>
/// <param name="options">The settings.</param>
/// <param name="log">Is told of one that cannot be closed.</param>
/// <param name="meter">Counts for them.</param>
/// <param name="ended">Told when one of several servers has ended, by its connection's name.</param>
internal sealed class RetiredPools(ConnectionOptions options, ILogger log, PoolMeter meter, Func<string, Task> ended)
{
    private readonly ConcurrentDictionary<PooledDataSource, Task> _pools = new();
    private volatile bool _endSessions;

    /// <summary>Whether the sessions of leases that have not ended by the deadline are ended: nobody waits for them any more.</summary>
    public bool EndSessions
    {
        get => _endSessions;
        set => _endSessions = value;
    }

    /// <summary>Their rows.</summary>
    public IEnumerable<DatabaseConnection> Rows => _pools.Keys.Select(source => source.Row);

    /// <summary>Ends when those that drain now have been disposed.</summary>
    public Task WhenOver => Task.WhenAll(_pools.Values);

    /// <summary>Notes a pool that is retired next: whoever closes all waits for this one too.</summary>
    public void Add(PooledDataSource source) => _pools.TryAdd(source, source.Life.WhenOver);

    /// <summary>Retires one that was added; the returned task ends when it has been disposed.</summary>
    public async Task DrainAsync(PooledDataSource source)
    {
        try
        {
            await source.RetireAsync(options.DrainTimeout).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            LogMessages.DrainFailed(log, e, source.Row.Name);
        }
        finally
        {
            meter.Forget(source.Figures);
            _pools.TryRemove(source, out _);
            if (source.Hosts is not null && !_endSessions)
            {
                _ = ended(source.Row.Name);
            }
        }
    }

    /// <summary>Lets those that were handed out end before the deadline, when no lease is left.</summary>
    public void EndGrace()
    {
        foreach (var source in _pools.Keys)
        {
            source.Life.EndGrace();
        }
    }

    /// <summary>Ends all waiting now.</summary>
    public void CutShort()
    {
        foreach (var source in _pools.Keys)
        {
            source.Life.CutShort();
        }
    }
}
