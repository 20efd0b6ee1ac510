using System.Collections.Concurrent;

namespace NeoCommons.EfCore;

/// <summary>What one server has for this process: the connections of all pools that lead to it.</summary>
/// <remarks>
/// A permit stands for a connection that is in use. What sits idle in the pools counts too, at the server: a pool has at most as
/// many connections as were in use at once since it was last cleared, so where that is more than the server has for us,
/// idle ones of other pools are closed before a new one is opened.
/// </remarks>
internal sealed class ServerBudget(int? given)
{
    private readonly ConcurrentDictionary<PooledDataSource, bool> _pools = new();
    private readonly Lock _makingRoom = new();

    /// <summary>A permit for each connection that may be in use; tenants take turns.</summary>
    public FairGate Gate { get; } = new(given ?? FairGate.Unlimited);

    /// <summary>Notes what the server itself says that it has; what the options give comes before it.</summary>
    public void Learn(int connections)
    {
        if (given is null && Gate.Permits != connections)
        {
            Gate.Resize(connections);
        }
    }

    public void Join(PooledDataSource pool) => _pools.TryAdd(pool, true);

    public void Leave(PooledDataSource pool) => _pools.TryRemove(pool, out _);

    /// <summary>Before a connection of a pool is opened: closes idle ones of others if it may be one too many.</summary>
    public void MakeRoomFor(PooledDataSource pool)
    {
        // As long as as many were in use before, an idle one serves.
        if (!pool.Growth.Grows() || Gate.Permits == FairGate.Unlimited)
        {
            return;
        }

        lock (_makingRoom)
        {
            var tooMany = _pools.Keys.Sum(p => p.Growth.Most) - Gate.Permits;
            foreach (var other in _pools.Keys.OrderByDescending(p => p.Growth.Most - p.Gate.Taken))
            {
                if (tooMany <= 0 || other.Growth.Most <= other.Gate.Taken)
                {
                    return;
                }

                if (!ReferenceEquals(other, pool))
                {
                    tooMany -= other.CloseIdle();
                }
            }
        }
    }
}
