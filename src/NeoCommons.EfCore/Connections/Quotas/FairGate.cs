namespace NeoCommons.EfCore;

/// <summary>A number of permits, and those who wait for one: a queue for each tenant, and the tenants take turns.</summary>
/// <remarks>
/// While nobody waits, to take a permit or to give it back is one interlocked operation. While somebody does, everything happens
/// under a lock, so nobody overtakes: who comes then stands behind his own tenant's callers, and a permit that comes back
/// goes to the tenant whose turn it is (docs/adr/0022).
/// </remarks>
internal sealed class FairGate(int permits)
{
    /// <summary>More permits than anybody takes.</summary>
    public const int Unlimited = 1 << 28;

    // The lowest bit of the state says that somebody waits, and the rest is the number of free permits: below zero where
    // more are taken than there are.
    private const int Contended = 1;
    private const int One = 2;

    private readonly Lock _lock = new();

    // Made for the first one who waits: there is a gate for each tenant, and at most gates nobody ever does.
    private Dictionary<TenantId, GateQueue>? _queues;
    private Queue<GateQueue>? _turns;
    private int _permits = permits;
    private int _state = permits * One;
    private int _waiting;

    // Odd while the number of permits changes.
    private int _resizes;

    /// <summary>How many there are.</summary>
    public int Permits => Volatile.Read(ref _permits);

    /// <summary>How many are taken; after the number of permits was lowered, that may be more than there are.</summary>
    public int Taken
    {
        get
        {
            while (true)
            {
                var resizes = Volatile.Read(ref _resizes);
                var taken = Permits - Free;
                if ((resizes & 1) == 0 && Volatile.Read(ref _resizes) == resizes)
                {
                    return taken;
                }

                Thread.SpinWait(1);
            }
        }
    }

    /// <summary>How many callers wait.</summary>
    public int Waiting => Volatile.Read(ref _waiting);

    // An arithmetic shift: below zero stays below zero.
    private int Free => Volatile.Read(ref _state) >> 1;

    /// <summary>Takes a permit, unless there is none or somebody waits.</summary>
    public bool TryTake()
    {
        var state = Volatile.Read(ref _state);
        while (state >= One && (state & Contended) == 0)
        {
            var found = Interlocked.CompareExchange(ref _state, state - One, state);
            if (found == state)
            {
                return true;
            }

            state = found;
        }

        return false;
    }

    /// <summary>Takes a permit for what has been taken already, whether there is one or not.</summary>
    public void Take() => Interlocked.Add(ref _state, -One);

    /// <summary>Takes a permit, after waiting for one if it must be.</summary>
    /// <param name="whose">The tenant; the empty id for none.</param>
    /// <param name="mostWaiting">How many may wait for this tenant.</param>
    /// <param name="timeout">How long to wait.</param>
    /// <param name="time">The clock.</param>
    /// <param name="ended">Cancelled when what is waited for is no more.</param>
    /// <param name="async">Whether to wait without a thread.</param>
    /// <param name="ct">Cancels.</param>
    /// <param name="pool">Of which pool a connection will be opened, at a gate that several have.</param>
    /// <exception cref="OperationCanceledException">The caller gave up.</exception>
    public async ValueTask<GateOutcome> TakeAsync(
        TenantId whose,
        int mostWaiting,
        TimeSpan timeout,
        TimeProvider time,
        CancellationToken ended,
        bool async,
        CancellationToken ct,
        PooledDataSource? pool = null
    )
    {
        ct.ThrowIfCancellationRequested();
        if (!TryQueue(whose, mostWaiting, pool, out var waiter))
        {
            return GateOutcome.Full;
        }

        if (waiter is null)
        {
            return GateOutcome.Taken;
        }

        // Each of them may end the waiting while the others are still being set up: the first one counts.
        using var clock = time.CreateTimer(
            static w => ((GateWaiter)w!).GiveUp(GateOutcome.TimedOut),
            waiter,
            timeout > TimeSpan.Zero ? timeout : TimeSpan.Zero,
            Timeout.InfiniteTimeSpan
        );
        using var ending = ended.UnsafeRegister(static w => ((GateWaiter)w!).GiveUp(GateOutcome.Ended), waiter);
        using var cancelling = ct.UnsafeRegister(static w => ((GateWaiter)w!).GiveUp(GateOutcome.Cancelled), waiter);
        if (pool is { RefusesAll: true })
        {
            // Whoever stood here was told so, and he came a moment later.
            waiter.GiveUp(GateOutcome.Ended);
        }

        var outcome = async ? await waiter.Ending.ConfigureAwait(false) : waiter.Ending.GetAwaiter().GetResult();
        if (outcome == GateOutcome.Cancelled)
        {
            ct.ThrowIfCancellationRequested();
        }

        return outcome;
    }

    /// <summary>Gives a permit back.</summary>
    public void Release()
    {
        var state = Volatile.Read(ref _state);
        while ((state & Contended) == 0)
        {
            var found = Interlocked.CompareExchange(ref _state, state + One, state);
            if (found == state)
            {
                return;
            }

            state = found;
        }

        lock (_lock)
        {
            Interlocked.Add(ref _state, One);
            Serve();
        }
    }

    /// <summary>Changes how many there are. Those that are taken count among the new ones.</summary>
    public void Resize(int permits)
    {
        lock (_lock)
        {
            Interlocked.Increment(ref _resizes);
            Interlocked.Add(ref _state, (permits - _permits) * One);
            Volatile.Write(ref _permits, permits);
            Interlocked.Increment(ref _resizes);
            Serve();
        }
    }

    /// <summary>Ends a waiting without a permit, unless it has ended.</summary>
    public void GiveUp(GateWaiter waiter, GateOutcome why)
    {
        lock (_lock)
        {
            if (waiter.Place is not { } place)
            {
                return;
            }

            waiter.Queue.Waiters.Remove(place);
            waiter.Place = null;
            _waiting--;
            Serve();
        }

        waiter.Wake(why);
    }

    /// <summary>Ends all waiting without a permit.</summary>
    /// <param name="ofPool">Only of those who want a connection of this pool; null: of all.</param>
    public void EndAll(PooledDataSource? ofPool = null)
    {
        List<GateWaiter> all;
        lock (_lock)
        {
            all = _queues is null
                ? []
                : [.. _queues.Values.SelectMany(queue => queue.Waiters).Where(w => ofPool is null || w.Pool == ofPool)];
        }

        foreach (var waiter in all)
        {
            GiveUp(waiter, GateOutcome.Ended);
        }
    }

    /// <returns>False where the tenant's queue is full; otherwise with a waiter, or without where a permit was taken.</returns>
    private bool TryQueue(TenantId whose, int mostWaiting, PooledDataSource? pool, out GateWaiter? waiter)
    {
        lock (_lock)
        {
            waiter = null;

            // From here on all that gives back comes to the lock.
            Interlocked.Or(ref _state, Contended);
            if (_waiting == 0 && Free > 0)
            {
                Interlocked.Add(ref _state, -One);
                Serve();
                return true;
            }

            _queues ??= [];
            _turns ??= new();
            if (!_queues.TryGetValue(whose, out var queue))
            {
                _queues[whose] = queue = new GateQueue(whose);
            }

            if (queue.Waiters.Count >= mostWaiting)
            {
                Serve();
                return false;
            }

            waiter = new GateWaiter(this, queue, pool);
            waiter.Place = queue.Waiters.AddLast(waiter);
            _waiting++;
            if (!queue.HasTurn)
            {
                queue.HasTurn = true;
                _turns.Enqueue(queue);
            }

            return true;
        }
    }

    /// <summary>Under the lock: hands out what is free, and leaves the lock's way again when nobody waits.</summary>
    private void Serve()
    {
        while (_waiting > 0 && Free > 0)
        {
            var queue = _turns!.Dequeue();
            if (queue.Waiters.First is { Value: var waiter } place)
            {
                queue.Waiters.Remove(place);
                waiter.Place = null;
                _waiting--;
                Interlocked.Add(ref _state, -One);

                // His continuation runs elsewhere.
                waiter.Wake(GateOutcome.Taken);
            }

            if (queue.Waiters.Count > 0)
            {
                _turns.Enqueue(queue);
            }
            else
            {
                // All have given up, or this was the last one.
                queue.HasTurn = false;
                _queues!.Remove(queue.Whose);
            }
        }

        if (_waiting == 0)
        {
            _turns?.Clear();
            _queues?.Clear();
            Interlocked.And(ref _state, ~Contended);
        }
    }
}
