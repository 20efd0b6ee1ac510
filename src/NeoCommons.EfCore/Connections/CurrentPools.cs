using System.Collections.Concurrent;

namespace NeoCommons.EfCore;

/// <summary>The pools that new leases are of, by their connections' names. Each goes from here to those that drain, and is in one of them at any time.</summary>
internal sealed class CurrentPools(RetiredPools retired)
{
    private readonly ConcurrentDictionary<string, PooledDataSource> _pools = new(StringComparer.Ordinal);
    private readonly Lock _moving = new();

    /// <summary>All of them.</summary>
    public IEnumerable<PooledDataSource> All => _pools.Values;

    /// <summary>Whether there is one of this name; copies no list of names.</summary>
    public bool Has(string name) => _pools.ContainsKey(name);

    /// <summary>The one of this name; null where there is none.</summary>
    public PooledDataSource? Find(string name) => _pools.GetValueOrDefault(name);

    /// <summary>Puts a pool in the place of another one, which is to be drained; false where that is not there any more.</summary>
    public bool Put(PooledDataSource pool, PooledDataSource? before)
    {
        lock (_moving)
        {
            if (before is null)
            {
                return _pools.TryAdd(pool.Row.Name, pool);
            }

            if (!_pools.TryUpdate(pool.Row.Name, pool, before))
            {
                return false;
            }

            retired.Add(before);
            return true;
        }
    }

    /// <summary>Takes one away, which is to be drained.</summary>
    /// <param name="name">Its connection.</param>
    /// <param name="only">Only this one.</param>
    /// <returns>Null where there is none.</returns>
    public PooledDataSource? Remove(string name, PooledDataSource? only = null)
    {
        lock (_moving)
        {
            if (!_pools.TryGetValue(name, out var pool) || (only ?? pool) != pool)
            {
                return null;
            }

            _pools.TryRemove(name, out _);
            retired.Add(pool);
            return pool;
        }
    }

    /// <summary>Forgets one that drains already.</summary>
    public void Forget(PooledDataSource pool) => _pools.TryRemove(KeyValuePair.Create(pool.Row.Name, pool));

    /// <summary>The rows of these and of those that drain.</summary>
    public IReadOnlyList<DatabaseConnection> RowsOfAll()
    {
        lock (_moving)
        {
            return [.. All.Select(pool => pool.Row), .. retired.Rows];
        }
    }
}
