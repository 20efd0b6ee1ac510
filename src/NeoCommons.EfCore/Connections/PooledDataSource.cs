using System.Transactions;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>The data source of one registry row, counted by its leases: it is disposed when the last one has ended.</summary>
/// <remarks>
/// A lease is a context or an open connection that we handed out. Disposing a data source under a live lease would make
/// its next open fail, and would not wake those who wait for a connection, so a replaced one is retired and drains first.
/// </remarks>
internal sealed class PooledDataSource : IDisposable
{
    private const int Retired = int.MinValue;

    private readonly TimeProvider _time;
    private readonly Func<DatabaseConnection, bool>? _hasIdle;
    private readonly CancellationTokenSource _retiring = new();
    private readonly CancellationTokenSource _closing = new();
    private readonly Lazy<NpgsqlDataSource> _unpooled;
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _cutShort = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _graceEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private DatabaseConnection _row;
    private volatile bool _handedOut;
    private volatile bool _isProbed;
    private volatile bool _isClosed;
    private volatile bool _isInScopes;

    private long _renewedAt = long.MinValue;

    // The number of leases; the sign bit says that the data source is retired. One word, so that a lease takes no lock.
    private int _leases;
    private int _mostOpen;

    public PooledDataSource(
        DatabaseConnection row,
        ConnectionOptions options,
        ILoggerFactory loggers,
        TimeProvider time,
        bool ownsReset = false,
        Func<DatabaseConnection, bool>? hasIdle = null,
        HostMemory? memory = null
    )
    {
        Gate = new(row.MaxPoolSize);
        Tenants = new(options.Quotas, time);
        OwnsReset = ownsReset;
        _row = row;
        _time = time;
        _hasIdle = hasIdle;
        (Retiring, Closing) = (_retiring.Token, _closing.Token);
        Passwords = new(options.RefusedPasswordBackOff, time);
        Breaker = new(options.Breaker, time, loggers.CreateLogger<ConnectionBreaker>(), Closing)
        {
            ConnectionName = row.Name,
            Probe = ct => ProbeAsync(options.Breaker.ProbeTimeout, ct),
            Opened = () =>
            {
                Clear();
                Gate.EndAll();
            },
            Closed = outage =>
            {
                if (outage >= options.Breaker.RebuildAfter)
                {
                    Outlived?.Invoke(this);
                }
            },
        };
        if (row.ReplicaHosts.Count > 0)
        {
            Hosts = new(this, AskPasswordAsync, options, loggers, memory ?? new(), time);
            Source = Hosts.Writers;
            _unpooled = new(() => Hosts.Unpooled);
            return;
        }

        Source = DataSourceBuilding.Build(row, AskPasswordAsync, options, loggers, pooled: true, ownsReset);
        _unpooled = new(() => DataSourceBuilding.Build(Row, AskPasswordAsync, options, loggers, pooled: false));
    }

    public DatabaseConnection Row => Volatile.Read(ref _row);

    /// <summary>Its connections; where the row names several servers, those to the primary.</summary>
    public NpgsqlDataSource Source { get; }

    /// <summary>The servers and their data sources; null where the row names one only.</summary>
    public HostPools? Hosts { get; }

    /// <summary>Connections for a tenant's context that only reads.</summary>
    public NpgsqlDataSource ReadersFor(TenantId tenant) => Hosts?.ReadersFor(tenant) ?? Source;

    /// <summary>A permit for each connection of the pool: who opens one waits there, and not in the driver's queue.</summary>
    public FairGate Gate { get; }

    /// <summary>What all pools of the server may take; null where nothing counts them.</summary>
    public ServerBudget? Server { get; init; }

    /// <summary>The most connections that the pool can have open: as many as were in use at once since it was cleared.</summary>
    public int MostOpen => Volatile.Read(ref _mostOpen);

    /// <summary>What each tenant takes of the pool.</summary>
    public TenantQuotas Tenants { get; }

    /// <summary>What the connections of this source log in with.</summary>
    public PasswordGate Passwords { get; }

    /// <summary>Refuses callers while the server does not answer.</summary>
    public ConnectionBreaker Breaker { get; }

    /// <summary>Told when the server answers again after so long that it may be another one.</summary>
    public Action<PooledDataSource>? Outlived { get; init; }

    /// <summary>
    /// Reads the row again, and takes over its password; false where the pool does not serve what the row says now. Null
    /// where nothing is known but the row.
    /// </summary>
    public Func<PooledDataSource, CancellationToken, Task<bool>>? Refresh { get; init; }

    /// <summary>Where is counted what its connections do; null where nobody asks.</summary>
    public PoolFigures? Figures { get; init; }

    /// <summary>Whether the driver resets no connection of this pool, and those who open one do where it is due.</summary>
    public bool OwnsReset { get; }

    /// <summary>Whether what stands before the database was found to be what the row says.</summary>
    public bool IsProbed
    {
        get => _isProbed;
        private set => _isProbed = value;
    }

    /// <summary>The same of the server that a connection leads to.</summary>
    public bool IsProbedAt(PhysicalConnection physical) => physical.Session?.Host.IsProbed ?? IsProbed;

    /// <summary>Notes that it was found right.</summary>
    public void HasBeenProbed(PhysicalConnection physical)
    {
        IsProbed = true;
        if (physical.Session is { } session)
        {
            session.Host.IsProbed = true;
        }
    }

    /// <summary>Cancelled when the row has changed: who has nothing yet can ask for the pool that took this one's place.</summary>
    public CancellationToken Retiring { get; }

    /// <summary>Cancelled when the last lease has ended, or the deadline has passed: nothing is opened any more.</summary>
    public CancellationToken Closing { get; }

    /// <summary>Whether nothing is opened any more.</summary>
    public bool IsClosed => _isClosed;

    /// <summary>Whether an open may have to wait for another lease to end. A lease holds one connection at most.</summary>
    public bool IsCrowded => (Volatile.Read(ref _leases) & ~Retired) > Row.MaxPoolSize || _handedOut || _isInScopes;

    /// <summary>Whether the pool may serve an open without a login; reads the driver's meter.</summary>
    public bool MayHaveIdle => _hasIdle?.Invoke(Row) is true;

    /// <summary>Notes that so many callers more wait for a connection, or fewer.</summary>
    public void CountWaiting(int more) => Figures?.Waiting(more);

    /// <summary>Whether the connection that a permit was taken for just now may be one more than the pool has had.</summary>
    public bool Grows()
    {
        var taken = Gate.Taken;
        var most = MostOpen;
        while (taken > most)
        {
            var found = Interlocked.CompareExchange(ref _mostOpen, taken, most);
            if (found == most)
            {
                return true;
            }

            most = found;
        }

        return false;
    }

    /// <summary>Closes idle connections, and those in use when they come back.</summary>
    /// <returns>How many were idle at most.</returns>
    public int CloseIdle()
    {
        var inUse = Gate.Taken;
        var idle = Interlocked.Exchange(ref _mostOpen, inUse) - inUse;
        Clear();
        return idle;
    }

    /// <summary>Ends when a retired data source has been disposed.</summary>
    public Task Closed => _closed.Task;

    /// <summary>
    /// For work that must end with its session: an advisory lock of a pooled connection would stay held after it is
    /// closed, until its next use. Loads no types.
    /// </summary>
    public NpgsqlDataSource Unpooled => _unpooled.Value;

    /// <summary>Opens a connection whose session ends with it, as the driver does; under a lease.</summary>
    public ValueTask<NpgsqlConnection> OpenUnpooledAsync(CancellationToken ct) => OpenUnpooledAsync(null, ct);

    /// <summary>The same, to the server that another connection leads to.</summary>
    /// <param name="beside">The other connection; null where any will do.</param>
    /// <param name="ct">Cancels.</param>
    public async ValueTask<NpgsqlConnection> OpenUnpooledAsync(NpgsqlConnection? beside, CancellationToken ct)
    {
        var host = beside is null ? null : PhysicalConnection.Of(beside).Session?.Host;

        // The gate tells opens apart by their tokens.
        using var own = Hosts is null ? null : CancellationTokenSource.CreateLinkedTokenSource(ct);
        var token = own?.Token ?? ct;
        var connection = host is null ? Unpooled.CreateConnection() : host.CreateConnection();
        try
        {
            await connection.OpenAsync(token).ConfigureAwait(false);
            Passwords.Accepted(connection);
            return connection;
        }
        catch (Exception e)
        {
            if (e is PostgresException { SqlState: ['2', '8', ..] } refusal)
            {
                Passwords.Refuse(Passwords.Given(async: true, token) ?? Row.Password, refusal);
            }

            Passwords.Ended(async: true, token);
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private async ValueTask<ConnectionUnavailableException?> ProbeAsync(TimeSpan timeout, CancellationToken ct)
    {
        using var late = new CancellationTokenSource(timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
        try
        {
            var session = await OpenUnpooledAsync(either.Token).ConfigureAwait(false);
            await session.DisposeAsync().ConfigureAwait(false);
            return null;
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            var failure = late.IsCancellationRequested
                ? OpenFailure.Silent(Row, timeout, e)
                : OpenFailure.Explain(e, Row);
            return failure is not null && OpenFailure.IsOutage(failure, Row) ? failure : null;
        }
    }

    /// <summary>Whether the pool serves this row; takes over a changed password.</summary>
    public bool Serves(DatabaseConnection row)
    {
        var current = Row;
        if (ReferenceEquals(current, row))
        {
            return true;
        }

        if (!current.HasSamePoolAs(row))
        {
            return false;
        }

        Volatile.Write(ref _row, row);
        return true;
    }

    /// <summary>Begins a lease; false where the data source is retired, and another one is to be asked for.</summary>
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

    /// <summary>Gives away the data source itself, for uses that no lease counts; call it under a lease.</summary>
    public NpgsqlDataSource HandOut()
    {
        _handedOut = true;
        return Source;
    }

    /// <summary>
    /// Closes each connection when it comes back, where someone may open it whom we do not see: he would find it as it was
    /// left.
    /// </summary>
    public void ClearIfHandedOut()
    {
        if (_handedOut)
        {
            Clear();
        }
    }

    /// <summary>Has the pool replace its connections, each when it is not in use, unless it has since one was opened.</summary>
    /// <remarks>
    /// All of them: the driver has no door to a single one, and breaking it would clear the pool too. They serve the same
    /// tenants, so when one has seen enough the others nearly have.
    /// </remarks>
    /// <param name="since">When the one that has seen enough was opened.</param>
    public void Renew(long since)
    {
        var last = Interlocked.Read(ref _renewedAt);
        if (since >= last && Interlocked.CompareExchange(ref _renewedAt, _time.GetTimestamp(), last) == last)
        {
            Clear();
        }
    }

    /// <summary>Closes what is idle, and what is leased when it comes back.</summary>
    public void Clear()
    {
        Source.Clear();
        Hosts?.Clear();
    }

    /// <summary>Refuses what would join a <c>TransactionScope</c> without the driver's reset.</summary>
    /// <exception cref="TenantIsolationException">There is a scope, and the reset is ours.</exception>
    public void ThrowIfInScope(TenantId? tenant)
    {
        if (Transaction.Current is null)
        {
            return;
        }

        // Its connections stay taken when their leases have ended, until the scope has.
        _isInScopes = true;
        if (OwnsReset)
        {
            throw new TenantIsolationException(
                "A session whose reset is left out (SessionReset.WhenUsed) cannot be part of a TransactionScope: when that ends, "
                    + "the session falls back to the path that it had before, which may be another tenant's. Begin a transaction "
                    + "with Database.BeginTransactionAsync(), or set NeoCommons:Connections:SessionReset to Always.",
                tenant
            );
        }
    }

    /// <summary>Lets a retired data source that was handed out be disposed before the deadline, when no lease is left.</summary>
    public void EndGrace() => _graceEnded.TrySetResult();

    /// <summary>Ends the drain now, and with it the sessions of those who still have one.</summary>
    public void CutShort() => _cutShort.TrySetResult();

    /// <summary>
    /// Takes no more leases, waits for the last one to end or for the deadline, and disposes. One that was handed out
    /// lives until the deadline: who has it may be about to open a connection.
    /// </summary>
    /// <param name="deadline">How long it waits.</param>
    /// <param name="endSessions">Whether to end, after that, the sessions of leases that have not ended.</param>
    public async Task RetireAsync(TimeSpan deadline, Func<bool>? endSessions = null)
    {
        if ((Interlocked.Or(ref _leases, Retired) & ~Retired) == 0)
        {
            _drained.TrySetResult();
        }

        try
        {
            // Who waits must not go on in the thread of whoever saw the change.
            _ = _retiring.CancelAsync();

            // Closes what is idle now, and each leased connection when it comes back.
            Clear();
            using var waiting = new CancellationTokenSource();
            var expired = Task.Delay(deadline, _time, waiting.Token);
            await Task.WhenAny(_drained.Task, expired, _cutShort.Task).ConfigureAwait(false);
            if (_handedOut)
            {
                await Task.WhenAny(_graceEnded.Task, expired, _cutShort.Task).ConfigureAwait(false);
            }

            await waiting.CancelAsync().ConfigureAwait(false);
            _isClosed = true;
            await _closing.CancelAsync().ConfigureAwait(false);
            if (endSessions?.Invoke() is true && !_drained.Task.IsCompleted)
            {
                await SessionEnd.OfAsync(this, _time).ConfigureAwait(false);
            }

            await (Hosts?.DisposeAsync() ?? default).ConfigureAwait(false);
            await Source.DisposeAsync().ConfigureAwait(false);
            if (_unpooled.IsValueCreated)
            {
                await _unpooled.Value.DisposeAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            Tenants.Dispose();
            Server?.Leave(this);
            _closed.TrySetResult();
        }
    }

    /// <summary>Throws away one that nobody has used; a used one is retired.</summary>
    public void Dispose()
    {
        Source.Dispose();
        Hosts?.Dispose();
        Server?.Leave(this);
        Tenants.Dispose();
        Passwords.Dispose();
        _retiring.Dispose();
        _closing.Dispose();
    }

    // Who has the source itself does not tell how his opens end.
    private ValueTask<string> AskPasswordAsync(HostAddress host, bool async, CancellationToken ct) =>
        Passwords.AskAsync(() => Row, Hosts is null ? null : host, isWatched: !_handedOut, async, ct);
}
