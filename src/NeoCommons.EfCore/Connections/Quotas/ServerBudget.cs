using System.Collections.Concurrent;

namespace NeoCommons.EfCore;

/// <summary>What one server has for this process: the connections of all pools that lead to it.</summary>
/// <remarks>
/// A permit stands for a connection that is in use. What sits idle in the pools counts too, at the server: where both together
/// are more than the server has for us, idle ones are closed.
/// </remarks>
internal sealed class ServerBudget
{
    /// <summary>
    /// What a process that shares a server has at least, where there is as much for each, and one that does not know yet what the
    /// server has: it can begin to work, and to learn.
    /// </summary>
    internal const int LeastPart = 2;

    private readonly ConcurrentDictionary<PooledDataSource, bool> _pools = new();
    private readonly Lock _closing = new();
    private readonly Lock _counting = new();
    private readonly int? _given;
    private int? _learned;
    private bool _isPoolers;
    private int _peak;
    private int _peakBefore;
    private long _closedAt = long.MinValue / 2;
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
        Gate = new(wanted is null && given is { } permits ? permits : LeastPart);
    }

    /// <summary>Host and port.</summary>
    public string Server { get; }

    /// <summary>A permit for each connection that may be in use; tenants take turns.</summary>
    public FairGate Gate { get; }

    /// <summary>How many connections all processes together may have; null while that is not known, and where a pooler decides.</summary>
    public int? Total
    {
        get
        {
            lock (_counting)
            {
                return _given is { } given ? Math.Min(given, _learned ?? given) : _learned;
            }
        }
    }

    /// <summary>Whether other processes have a part of it, so that <see cref="FairGate.Permits"/> is ours alone.</summary>
    public bool IsShared => Volatile.Read(ref _wanted) is not null && Total is not null;

    /// <summary>Whether pools lead to it, or connections of those that are closed.</summary>
    public bool IsUsed => !_pools.IsEmpty || Gate.Taken > 0;

    /// <summary>How many connections may be open now, idle ones included.</summary>
    public int Open => Gate.Taken + _pools.Keys.Sum(pool => pool.Idle);

    /// <summary>How many this process would have used at once in this look back or the one before, or would use now.</summary>
    public int Wanted =>
        Math.Max(Math.Max(Volatile.Read(ref _peakBefore), Volatile.Read(ref _peak)), Gate.Taken + Gate.Waiting);

    /// <summary>Begins another look back: who comes in bursts has wanted nothing between two of them.</summary>
    public void ForgetPeak() => Volatile.Write(ref _peakBefore, Interlocked.Exchange(ref _peak, 0));

    /// <summary>Notes how many are in use and wait, and this many that are about to.</summary>
    public void NoteUse(int waiting = 0)
    {
        // An approximation: who is between waiting and having it is seen in neither.
        var wanted = Gate.Taken + Gate.Waiting + waiting;
        for (var peak = Volatile.Read(ref _peak); peak < wanted; peak = Volatile.Read(ref _peak))
        {
            Interlocked.CompareExchange(ref _peak, wanted, peak);
        }
    }

    /// <summary>Notes what the server itself says that it has; the options may give less of it, and not more.</summary>
    public void Learn(int connections)
    {
        Action? wanted;
        lock (_counting)
        {
            if (_learned == connections)
            {
                return;
            }

            _learned = connections;
            wanted = _wanted;
            if (wanted is not null && _isPoolers)
            {
                Gate.Resize(LeastPart);
            }

            _isPoolers = false;
            if (wanted is null)
            {
                Gate.Resize(Math.Min(connections, _given ?? connections));
            }
        }

        wanted?.Invoke();
    }

    /// <summary>Notes that a pooler stands before it, whose business the number of connections is, unless the options give one.</summary>
    public void LeaveToPooler()
    {
        lock (_counting)
        {
            if (_given is null && _learned is null && !_isPoolers)
            {
                _isPoolers = true;
                Gate.Resize(FairGate.Unlimited);
            }
        }
    }

    /// <summary>Other processes use the server too: until this one is given a part, it has very little.</summary>
    public void BeginSharing(Action wanted)
    {
        lock (_counting)
        {
            Volatile.Write(ref _wanted, wanted);
            if (!_isPoolers)
            {
                Gate.Resize(LeastPart);
            }
        }

        CloseSurplus();
        wanted();
    }

    /// <summary>Takes the part of this process.</summary>
    public void Take(int connections)
    {
        if (connections != Gate.Permits)
        {
            Gate.Resize(connections);
        }

        CloseSurplus();
    }

    /// <summary>Takes the part of this process where it is less than the one before.</summary>
    public void TakeLess(int connections)
    {
        if (connections < Gate.Permits)
        {
            Take(connections);
        }
    }

    /// <summary>Counts a pool's connections from now on.</summary>
    public void Join(PooledDataSource pool)
    {
        var isFirst = _pools.IsEmpty;
        _pools.TryAdd(pool, true);
        if (isFirst)
        {
            Volatile.Read(ref _wanted)?.Invoke();
        }
    }

    /// <summary>The pool has none any more, or all that it has are in use and will be closed.</summary>
    public void Leave(PooledDataSource pool) => _pools.TryRemove(pool, out _);

    /// <summary>Whether idle ones were closed a moment ago, whose server processes may not have ended yet.</summary>
    public bool IsMakingRoom => Environment.TickCount64 - Volatile.Read(ref _closedAt) < 1_000;

    /// <summary>Closes idle connections where more are open than may be, of the pools that have most of them first.</summary>
    /// <remarks>A pool has no door to a single one: those of it that are in use are closed too, when they come back.</remarks>
    /// <param name="except">The pool that is about to use its own.</param>
    public void CloseSurplus(PooledDataSource? except = null)
    {
        if (Gate.Permits == FairGate.Unlimited)
        {
            return;
        }

        lock (_closing)
        {
            while (
                Open > Gate.Permits
                && _pools.Keys.Where(pool => !ReferenceEquals(pool, except)).MaxBy(pool => pool.Idle)
                    is { Idle: > 0 } largest
            )
            {
                largest.CloseIdle();
                Volatile.Write(ref _closedAt, Environment.TickCount64);
            }
        }
    }
}
