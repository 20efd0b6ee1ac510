using Microsoft.Extensions.Logging;
using Polly;

namespace NeoCommons.EfCore;

/// <summary>Answers for a server that does not: callers are refused at once, while one connection looks for its return.</summary>
/// <remarks>
/// One for each pool. In good times an open costs it the look at a flag. From the first failed open, or the first connection that
/// breaks in use, it asks the server itself, in a session beside the pool, until that works; how many fail meanwhile, its own and the
/// callers', decides whether callers are refused. No caller is ever the one who tries. Its clock only goes forward.
/// </remarks>
internal sealed class ConnectionBreaker
{
    // A port that nobody listens on answers in no time.
    private static readonly TimeSpan ProbeInterval = TimeSpan.FromMilliseconds(100);

    private readonly ConnectionBreakerOptions _options;
    private readonly Lock _following = new();
    private readonly TimeProvider _time;
    private readonly CancellationToken _closing;
    private readonly ILogger _log;
    private readonly UnansweredProbes _unanswered;
    private FailureWindow _window;
    private ConnectionUnavailableException? _cause;
    private long _changedAt;
    private long _answeredAt = long.MinValue;
    private volatile bool _isOpen;
    private int _isWatching;
    private int _hasFailedOver;

    public ConnectionBreaker(
        ConnectionBreakerOptions options,
        TimeProvider time,
        ILogger log,
        CancellationToken closing
    )
    {
        _options = options;
        _time = time;
        _log = log;
        _closing = closing;
        _changedAt = time.GetTimestamp();
        _unanswered = new(time);
        _window = new(options, time);
    }

    /// <summary>
    /// Opens a connection beside the pool and closes it. Returns why that failed, or null where the server answered, be it with
    /// a refusal.
    /// </summary>
    public required Func<CancellationToken, ValueTask<ConnectionUnavailableException?>> Probe { get; init; }

    /// <summary>The name of the connection.</summary>
    public required string ConnectionName { get; init; }

    /// <summary>Told when callers are refused from now on.</summary>
    public Action? Opened { get; init; }

    /// <summary>Told when the server answers again, with the length of the outage.</summary>
    public Action<TimeSpan>? Closed { get; init; }

    public long Timestamp => _time.GetTimestamp();

    /// <summary>When it was made, or has changed between refusing and letting through last.</summary>
    public long ChangedAt => Volatile.Read(ref _changedAt);

    /// <summary>Whether callers are refused.</summary>
    public bool IsOpen => _isOpen;

    /// <summary>For how long callers have been refused, and why; null while they are not.</summary>
    public ConnectionOutage? Outage =>
        _isOpen ? ConnectionOutage.Of(Volatile.Read(ref _cause), _time.GetElapsedTime(ChangedAt)) : null;

    /// <summary>Whether callers are refused since the server is away, and not since it has no slot left for another session.</summary>
    public bool IsServerAway =>
        _isOpen
        && Volatile.Read(ref _cause) is var cause
        && cause is not { InnerException: Npgsql.PostgresException { SqlState: ['5', '3', ..] } }
        && !PoolerAnswer.IsFull(cause?.InnerException)
        && !PoolerAnswer.IsLate(cause?.InnerException);

    /// <summary>Whether the server is being asked; it is not in good times.</summary>
    public bool IsWatching => Volatile.Read(ref _isWatching) != 0;

    /// <summary>Notes that another connection is used in its place; logs it once for each outage.</summary>
    public void NoteFailover(string failover)
    {
        if (Interlocked.Exchange(ref _hasFailedOver, 1) == 0)
        {
            LogMessages.FailedOver(_log, ConnectionName, failover);
        }
    }

    /// <exception cref="ConnectionUnavailableException">The server did not answer lately.</exception>
    public void ThrowIfOpen()
    {
        if (_isOpen)
        {
            ThrowIfFailed();
        }
    }

    /// <exception cref="ConnectionUnavailableException">There was a failure, be it over by now.</exception>
    public void ThrowIfFailed()
    {
        if (Volatile.Read(ref _cause) is { } cause)
        {
            throw OpenFailure.CircuitOpen(ConnectionName, cause, _options.BreakDuration);
        }
    }

    /// <summary>Notes that a connection was opened.</summary>
    public void Succeeded()
    {
        if (IsWatching)
        {
            _unanswered.Served();
            Record(null);
        }
    }

    /// <summary>Notes that a connection could not be opened.</summary>
    /// <param name="cause">Why.</param>
    /// <param name="started">The <see cref="Timestamp"/> of when that was begun; what the server has answered since says more.</param>
    public void Failed(ConnectionUnavailableException cause, long started = long.MaxValue)
    {
        if (started >= Volatile.Read(ref _answeredAt))
        {
            Record(cause);
        }

        Suspect();
    }

    /// <summary>Notes that somebody has waited for a connection and got none, with no word of the server.</summary>
    /// <param name="started">The <see cref="Timestamp"/> of when he began; a server that has answered since is not asked again.</param>
    public void GivenUp(long started)
    {
        if (_time.GetElapsedTime(started) >= UnansweredProbes.Patience && started >= Volatile.Read(ref _answeredAt))
        {
            Suspect();
        }
    }

    /// <summary>
    /// Has the server asked, since a session ended as it was opened or in use; it counts where the server did not answer either,
    /// twice in a row: the first of our own may have ended with it.
    /// </summary>
    public void InDoubt(ConnectionUnavailableException? cause = null)
    {
        if (_unanswered.AreSeveral && (cause ?? Volatile.Read(ref _cause)) is { } failure)
        {
            Record(failure);
        }

        Suspect();
    }

    private void Suspect()
    {
        if (!_closing.IsCancellationRequested && Interlocked.CompareExchange(ref _isWatching, 1, 0) == 0)
        {
            // Without the caller's context: neither his transaction nor his trace.
            ThreadPool.UnsafeQueueUserWorkItem(static breaker => _ = breaker.WatchAsync(), this, preferLocal: false);
        }
    }

    private async Task WatchAsync()
    {
        try
        {
            while (await AskAsync().ConfigureAwait(false) is not null)
            {
                await Task.Delay(_isOpen ? _options.BreakDuration : ProbeInterval, _time, _closing)
                    .ConfigureAwait(false);
            }

            if (!_isOpen)
            {
                // It is well: what failed before counts no more.
                Volatile.Write(ref _window, new(_options, _time));
            }
        }
        catch when (_closing.IsCancellationRequested)
        {
            return;
        }
        catch (Exception e)
        {
            LogMessages.BreakerFailed(_log, e, ConnectionName);
        }

        Interlocked.Exchange(ref _isWatching, 0);

        // Somebody's failure may have been the decisive one just now, and he saw that the server was being asked.
        if (_isOpen)
        {
            Suspect();
        }
    }

    /// <summary>Asks the server once; returns why it cannot be used, or null.</summary>
    private async ValueTask<Exception?> AskAsync()
    {
        var context = ResilienceContextPool.Shared.Get(_closing);
        var begun = Timestamp;
        try
        {
            var outcome = await Volatile
                .Read(ref _window)
                .Pipeline.ExecuteOutcomeAsync(
                    static async (context, breaker) =>
                    {
                        var begun = breaker.Timestamp;
                        var failure = await breaker.Probe(context.CancellationToken).ConfigureAwait(false);
                        breaker._unanswered.Note(failure is null, begun);
                        if (failure is null)
                        {
                            Volatile.Write(ref breaker._answeredAt, begun);
                            return Outcome.FromResult(true);
                        }

                        Volatile.Write(ref breaker._cause, failure);
                        return Outcome.FromException<bool>(failure);
                    },
                    context,
                    this
                )
                .ConfigureAwait(false);
            CountSilence(outcome.Exception as ConnectionUnavailableException, begun);
            Follow();
            _closing.ThrowIfCancellationRequested();
            return outcome.Exception;
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    // A silent server is asked once while one that refuses is asked often: twice in a row stands for as many as are needed.
    private void CountSilence(ConnectionUnavailableException? failure, long begun)
    {
        for (
            var counted = 1;
            failure is not null && !_isOpen && counted < _options.MinimumThroughput && _unanswered.IsSilent(begun);
            counted++
        )
        {
            Record(failure);
        }
    }

    private void Record(ConnectionUnavailableException? failure)
    {
        // One that was late, or found no place, is told nothing of a server that is known to be away.
        if (
            failure is not null
            && !(
                _isOpen && (PoolerAnswer.IsLate(failure.InnerException) || PoolerAnswer.IsFull(failure.InnerException))
            )
        )
        {
            Volatile.Write(ref _cause, failure);
        }

        Volatile.Read(ref _window).Count(failure);
        Follow();
    }

    private void Follow()
    {
        bool isOpen;
        long before;
        lock (_following)
        {
            isOpen = Volatile.Read(ref _window).IsOpen;
            if (isOpen == _isOpen)
            {
                return;
            }

            before = Interlocked.Exchange(ref _changedAt, _time.GetTimestamp());
            _isOpen = isOpen;
        }

        if (isOpen)
        {
            Volatile.Write(ref _hasFailedOver, 0);
            LogMessages.BreakerOpened(_log, ConnectionName, Volatile.Read(ref _cause)?.Message);
            Opened?.Invoke();
        }
        else
        {
            var outage = _time.GetElapsedTime(before);
            LogMessages.BreakerClosed(_log, ConnectionName, outage.TotalSeconds);
            Closed?.Invoke(outage);
        }
    }
}
