using System.Collections.Concurrent;

namespace NeoCommons.EfCore;

/// <summary>What one server has for this process: the connections of all pools that lead to it.</summary>
/// <remarks>
/// A permit stands for a connection that is in use. What sits idle in the pools counts too, at the server: a pool has at most as
/// many connections as were in use at once since it was last cleared, so where that is more than the server has for us,
/// idle ones of other pools are closed before a new one is opened.
/// </remarks>
internal sealed class ServerBudget
{
    /// <summary>What a process that shares a server begins with, before it was given its part.</summary>
    internal const int BeforeTheFirstPart = 2;

    private readonly ConcurrentDictionary<PooledDataSource, bool> _pools = new();
    private readonly Lock _makingRoom = new();
    private readonly int? _given;
    private int _learned;
    private Action? _wanted;

    /// <summary>Makes the budget of a server.</summary>
    /// <param name="server">Host and port.</param>
    /// <param name="given">How many connections it has for us; null: as many as it says itself.</param>
    /// <param name="wanted">Called when a part of it is wanted, where processes share it.</param>
    public ServerBudget(string server, int? given, Action? wanted)
    {
        Server = server;
        _given = given;
        _wanted = wanted;
        Gate = new(wanted is null ? given ?? FairGate.Unlimited : BeforeTheFirstPart);
    }

    /// <summary>Host and port.</summary>
    public string Server { get; }

    /// <summary>A permit for each connection that may be in use; tenants take turns.</summary>
    public FairGate Gate { get; }

    /// <summary>How many connections all processes together may have; null while that is not known.</summary>
    public int? Total => _given ?? (Volatile.Read(ref _learned) is > 0 and var learned ? learned : null);

    /// <summary>How many this process would use now.</summary>
    public int Wanted => Gate.Taken + Gate.Waiting;

    /// <summary>How many connections its pools may have open now, idle ones included.</summary>
    public int Open => _pools.Keys.Sum(pool => pool.Growth.Most);

    /// <summary>Notes what the server itself says that it has; what the options give comes before it.</summary>
    public void Learn(int connections)
    {
        var before = Interlocked.Exchange(ref _learned, connections);
        if (Volatile.Read(ref _wanted) is { } wanted)
        {
            if (before != connections)
            {
                wanted();
            }
        }
        else if (_given is null && Gate.Permits != connections)
        {
            Gate.Resize(connections);
        }
    }

    /// <summary>Other processes use the server too: until this one is given a part, it begins with very little.</summary>
    public void BeginSharing(Action wanted)
    {
        Volatile.Write(ref _wanted, wanted);
        Take(BeforeTheFirstPart);
        wanted();
    }

    /// <summary>Takes the part of this process.</summary>
    public void Take(int connections)
    {
        if (connections != Gate.Permits)
        {
            Gate.Resize(connections);
        }

        Trim();
    }

    /// <summary>Where more are open than may be: closes the idle ones now, and those in use when they come back.</summary>
    public void Trim()
    {
        if (Open > Gate.Permits)
        {
            foreach (var pool in _pools.Keys)
            {
                pool.CloseIdle();
            }
        }
    }

    public void Join(PooledDataSource pool) => _pools.TryAdd(pool, true);

    public void Leave(PooledDataSource pool) => _pools.TryRemove(pool, out _);

    /// <summary>Before a connection of a pool is opened: closes idle ones of others if it may be one too many.</summary>
    public void MakeRoomFor(PooledDataSource pool)
    {
        if (Gate.Permits == FairGate.Unlimited)
        {
            return;
        }

        lock (_makingRoom)
        {
            var tooMany = Open - Gate.Permits;
            foreach (var other in _pools.Keys.OrderByDescending(p => p.Growth.Idle))
            {
                if (tooMany <= 0 || other.Growth.Idle == 0)
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
