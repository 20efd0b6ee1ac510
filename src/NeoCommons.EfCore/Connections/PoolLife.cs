namespace NeoCommons.EfCore;

/// <summary>How long a pool lives: until the last of its leases has ended after it was retired, or a deadline has passed.</summary>
internal sealed class PoolLife(TimeProvider time) : IDisposable
{
    private const int Retired = int.MinValue;

    private readonly CancellationTokenSource _retiring = new();
    private readonly CancellationTokenSource _closing = new();
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _cutShort = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _graceEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _isHandedOut;
    private volatile bool _isClosed;

    // The number of leases; the sign bit says that the pool is retired. One word, so that a lease takes no lock.
    private int _leases;

    /// <summary>How many leases there are.</summary>
    public int Leases => Volatile.Read(ref _leases) & ~Retired;

    /// <summary>Whether the data source itself was given away, for uses that no lease counts.</summary>
    public bool IsHandedOut => _isHandedOut;

    /// <summary>Cancelled when the row has changed: who has nothing yet can ask for the pool that took this one's place.</summary>
    public CancellationToken Retiring => _retiring.Token;

    /// <summary>Cancelled when the last lease has ended, or the deadline has passed: nothing is opened any more.</summary>
    public CancellationToken Closing => _closing.Token;

    /// <summary>Whether nothing is opened any more.</summary>
    public bool IsClosed => _isClosed;

    /// <summary>Ends when a retired pool has been disposed.</summary>
    public Task WhenOver => _over.Task;

    /// <summary>Begins a lease; false where the pool is retired, and another one is to be asked for.</summary>
    public bool TryAcquire()
    {
        if (Interlocked.Increment(ref _leases) > 0)
        {
            return true;
        }

        Release();
        return false;
    }

    /// <summary>Ends a lease.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _leases) == Retired)
        {
            _drained.TrySetResult();
        }
    }

    /// <summary>Notes that the data source is given away; call it under a lease.</summary>
    public void HandOut() => _isHandedOut = true;

    /// <summary>Takes no more leases.</summary>
    public void Retire()
    {
        if ((Interlocked.Or(ref _leases, Retired) & ~Retired) == 0)
        {
            _drained.TrySetResult();
        }

        // Who waits must not go on in the thread of whoever saw the change.
        _ = _retiring.CancelAsync();
    }

    /// <summary>
    /// Waits for the last lease to end or for the deadline, and lets nothing be opened any more. One that was handed out lives
    /// until the deadline: who has it may be about to open a connection.
    /// </summary>
    /// <returns>Whether all leases have ended.</returns>
    public async Task<bool> EndAsync(TimeSpan deadline)
    {
        using var waiting = new CancellationTokenSource();
        var expired = Task.Delay(deadline, time, waiting.Token);
        await Task.WhenAny(_drained.Task, expired, _cutShort.Task).ConfigureAwait(false);
        if (_isHandedOut)
        {
            await Task.WhenAny(_graceEnded.Task, expired, _cutShort.Task).ConfigureAwait(false);
        }

        await waiting.CancelAsync().ConfigureAwait(false);
        _isClosed = true;
        await _closing.CancelAsync().ConfigureAwait(false);
        return _drained.Task.IsCompleted;
    }

    /// <summary>Lets a retired pool that was handed out end before the deadline, when no lease is left.</summary>
    public void EndGrace() => _graceEnded.TrySetResult();

    /// <summary>Ends the waiting now.</summary>
    public void CutShort() => _cutShort.TrySetResult();

    /// <summary>Notes that the pool has been disposed.</summary>
    public void End() => _over.TrySetResult();

    public void Dispose()
    {
        _retiring.Dispose();
        _closing.Dispose();
    }
}
