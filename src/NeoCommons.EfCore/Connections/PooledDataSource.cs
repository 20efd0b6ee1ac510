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
    private readonly Func<DatabaseConnection, PoolMetrics>? _count;
    private readonly ServerProbe _probe;
    private readonly Lazy<NpgsqlDataSource> _unpooled;
    private DatabaseConnection _row;
    private volatile bool _isProbed;
    private volatile bool _isInScopes;

    public PooledDataSource(
        DatabaseConnection row,
        ConnectionOptions options,
        ILoggerFactory loggers,
        TimeProvider time,
        bool ownsReset = false,
        Func<DatabaseConnection, PoolMetrics>? count = null,
        HostMemory? memory = null
    )
    {
        DataSourceBuilding.ThrowIfFaulty(row, options);
        Gate = new(row.MaxPoolSize);
        Quarantine = new(() => Row, options.Quotas, () => Build(DataSourceUse.Apart), time, loggers);
        OwnsReset = ownsReset;
        _row = row;
        _count = count;
        Life = new(time);
        Renewal = new(this, time);
        Passwords = new(options.RefusedPasswordBackOff, time);
        _probe = new(this, AskPasswordAsync, options, loggers, time);
        Breaker = _probe.NewBreaker();
        if (row.ReplicaHosts.Count > 0)
        {
            Hosts = new(this, AskPasswordAsync, options, loggers, memory ?? new(), time);
            Source = Hosts.Writers;
            _unpooled = new(() => Hosts.Unpooled);
        }
        else
        {
            Source = Build(DataSourceUse.Pool);
            _unpooled = new(() => Build(DataSourceUse.Beside));
        }

        // Last: its timer would outlive a pool that cannot be built.
        Tenants = new(options, time);

        NpgsqlDataSource Build(DataSourceUse use) =>
            DataSourceBuilding.Build(Row, AskPasswordAsync, options, loggers, use, ownsReset);
    }

    /// <summary>Its leases, and how it ends.</summary>
    public PoolLife Life { get; }

    public DatabaseConnection Row => Volatile.Read(ref _row);

    /// <summary>Its connections; where the row names several servers, those to the primary.</summary>
    public NpgsqlDataSource Source { get; }

    /// <summary>The servers and their data sources; null where the row names one only.</summary>
    public HostPools? Hosts { get; }

    /// <summary>A permit for each connection of the pool: who opens one waits there, and not in the driver's queue.</summary>
    public FairGate Gate { get; }

    /// <summary>What all pools of the server may take; without others, a pool may take what it likes.</summary>
    public ServerBudget Server { get; init; } = new("", FairGate.Unlimited, wanted: null);

    /// <summary>How many connections the pool may have open; where the row names several servers, those that write.</summary>
    public PoolGrowth Growth { get; } = new();

    /// <summary>How many idle connections there may be at its server, of several the primary; those that only read included.</summary>
    public int Idle => Growth.Idle + (Hosts?.IdleReadersAtPrimary ?? 0);

    /// <summary>What each tenant takes of the pool.</summary>
    public TenantQuotas Tenants { get; }

    /// <summary>Replaces its connections when they have seen enough.</summary>
    public PoolRenewal Renewal { get; }

    /// <summary>Whose connections lead past the pool.</summary>
    public Quarantine Quarantine { get; }

    /// <summary>What the connections of this source log in with.</summary>
    public PasswordGate Passwords { get; }

    /// <summary>Refuses callers while the server does not answer.</summary>
    public ConnectionBreaker Breaker { get; }

    /// <summary>Has new leases use a new pool of the same row; false where they do already.</summary>
    public Func<PooledDataSource, bool>? Outdated { get; init; }

    /// <summary>The pool that the connection of this name has now; null where it has none.</summary>
    public Func<string, PooledDataSource?>? Successor { get; init; }

    /// <summary>Reads the row again, and takes over its password; false where the pool does not serve what the row says now. Null where nothing is known but the row.</summary>
    public Func<PooledDataSource, CancellationToken, Task<bool>>? Refresh { get; init; }

    /// <summary>Whether the application stops.</summary>
    public Func<bool>? IsStopping { get; init; }

    /// <summary>Ends sessions of leases that a drain does not see the end of, and that must not go on.</summary>
    public Func<PooledDataSource, Task>? EndLeft { get; init; }

    /// <summary>Where is counted what its connections do; null where nobody asks.</summary>
    public PoolFigures? Figures { get; init; }

    /// <summary>Whether the driver resets no connection of this pool, and those who open one do where it is due.</summary>
    public bool OwnsReset { get; }

    /// <summary>Whether what stands before the database was found to be what the row says.</summary>
    public bool IsProbed => _isProbed;

    /// <summary>The same of the server that a connection leads to.</summary>
    public bool IsProbedAt(PhysicalConnection physical) => physical.Session?.Host.IsProbed ?? IsProbed;

    /// <summary>Notes that it was found right.</summary>
    public void HasBeenProbed(PhysicalConnection physical)
    {
        _isProbed = true;
        if (physical.Session is { } session)
        {
            session.Host.IsProbed = true;
        }
    }

    /// <summary>Whether an open may have to wait for another lease to end. A lease holds one connection at most.</summary>
    public bool IsCrowded => Life.Leases > Row.MaxPoolSize || Life.IsHandedOut || _isInScopes;

    /// <summary>Whether all its connections may be in use, those of a pool that it has replaced left out.</summary>
    public bool IsFull => Gate.Taken >= Gate.Permits || Life.IsHandedOut;

    /// <summary>
    /// Whether the pool may serve an open without a login; reads the driver's meter. Of a replaced pool too, which has the same name:
    /// then the driver is asked, and asks for the password.
    /// </summary>
    public bool MayHaveIdle => _count?.Invoke(Row) is { Max: 0 } or { Idle: > 0 };

    /// <summary>Whether a failure says that the server is away; one that only has no slot left serves those who have one.</summary>
    public bool IsOutage(ConnectionUnavailableException failure) =>
        OpenFailure.IsOutage(failure, Row)
        && !(OpenFailure.IsFull(failure) && _count?.Invoke(Row).Total > Growth.Opening);

    /// <summary>Wakes those who wait for a turn: they would wait for nothing.</summary>
    public void EndWaiting()
    {
        // As they come to them: who was let go at one must not wait at the next.
        Tenants.EndAll();
        Gate.EndAll();
        Server.Gate.EndAll(ofPool: this);
    }

    /// <summary>Whether callers are refused, since the server is away, or all of several are.</summary>
    public bool RefusesAll => Hosts?.Outage.IsOn ?? Breaker.IsOpen;

    /// <summary>Notes that so many callers more wait for a connection, or fewer.</summary>
    public void CountWaiting(int more) => Figures?.Waiting(more);

    /// <summary>Closes idle connections, and those in use when they come back.</summary>
    public void CloseIdle()
    {
        Growth.Shrink();
        Hosts?.Reading.Shrink();
        Clear();
    }

    /// <summary>
    /// For work that must end with its session: an advisory lock of a pooled connection would stay held after it is
    /// closed, until its next use. Loads no types.
    /// </summary>
    public NpgsqlDataSource Unpooled => _unpooled.Value;

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
    public bool TryAcquire() => Life.TryAcquire();

    /// <summary>Ends a lease.</summary>
    public void Release() => Life.Release();

    /// <summary>Gives away the data source itself, for uses that no lease counts; call it under a lease.</summary>
    public NpgsqlDataSource HandOut()
    {
        Life.HandOut();
        return Source;
    }

    /// <summary>Closes each connection when it comes back, where someone may open it as it was left whom we do not see.</summary>
    public void ClearIfHandedOut()
    {
        if (Life.IsHandedOut)
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
        if (!AmbientScope.IsPresent)
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

    /// <summary>Takes no more leases, waits for the last one to end or for the deadline, and disposes.</summary>
    /// <param name="deadline">How long it waits.</param>
    public async Task RetireAsync(TimeSpan deadline)
    {
        try
        {
            Life.Retire();

            // Closes what is idle now, and each leased connection when it comes back.
            Clear();
            var isOver = await Life.EndAsync(deadline).ConfigureAwait(false);
            if ((!isOver || (Life.IsHandedOut && IsStopping?.Invoke() is not true)) && EndLeft is { } end)
            {
                await end(this).ConfigureAwait(false);
            }

            await (Hosts?.DisposeAsync() ?? default).ConfigureAwait(false);
            await Source.DisposeAsync().ConfigureAwait(false);
            Quarantine.Dispose();
            _probe.Dispose();
            if (_unpooled.IsValueCreated)
            {
                await _unpooled.Value.DisposeAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            Tenants.Dispose();
            Server.Leave(this);
            Life.End();
        }
    }

    /// <summary>Throws away one that nobody has used; a used one is retired.</summary>
    public void Dispose()
    {
        Source.Dispose();
        Hosts?.Dispose();
        Server.Leave(this);
        Tenants.Dispose();
        Passwords.Dispose();
        Life.Dispose();
    }

    // Who has the source itself does not tell how his opens end.
    private ValueTask<string> AskPasswordAsync(HostAddress host, bool async, CancellationToken ct) =>
        Hosts?.RefusalAt(host, Row) is { } cause
            ? throw new RefusedBeforeException(host, cause)
            : Passwords.AskAsync(() => Row, Hosts is null ? null : host, isWatched: !Life.IsHandedOut, async, ct);
}
