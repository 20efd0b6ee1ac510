using System.Transactions;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>The data sources of a row that names several servers, and what keeps them right.</summary>
/// <remarks>
/// Writers and readers have sources of their own. The driver learns from a session's <c>default_transaction_read_only</c> whether a
/// server takes writes, and sessions that only read set it: among the writers', they would hide the primary.
/// </remarks>
internal sealed class HostPools : IDisposable, IAsyncDisposable
{
    private readonly PooledDataSource _source;
    private readonly ConnectionOptions _options;
    private readonly TimeProvider _time;
    private readonly NpgsqlMultiHostDataSource _writers;
    private readonly Lazy<NpgsqlMultiHostDataSource> _readers;
    private readonly Lazy<NpgsqlMultiHostDataSource> _unpooled;
    private readonly HostWatch _watch;
    private long _clearedFor;
    private long _forgotAt;

    public HostPools(
        PooledDataSource source,
        PasswordProvider password,
        ConnectionOptions options,
        ILoggerFactory loggers,
        HostMemory memory,
        TimeProvider time
    )
    {
        _source = source;
        _options = options;
        _time = time;
        var row = source.Row;
        DataSourceBuilding.ThrowIfFaulty(row, options);
        Hosts =
        [
            .. HostAddress
                .AllOf(row)
                .Select(
                    (address, number) =>
                        new RowHost(
                            number,
                            address,
                            DataSourceBuilding.BuildAt(address, row, password, options, loggers)
                        )
                ),
        ];
        Guard = new HostGuard(source, Hosts, memory);
        Writes = memory.WritesOf(row.Name);
        _writers = Build(DataSourceUse.Pool, forReads: false);
        _readers = new(() => Build(DataSourceUse.Pool, forReads: true));
        _unpooled = new(() => Build(DataSourceUse.Beside, forReads: false));
        _watch = new HostWatch(source, this, loggers.CreateLogger<HostWatch>(), time);

        NpgsqlMultiHostDataSource Build(DataSourceUse use, bool forReads) =>
            DataSourceBuilding.BuildMultiHost(
                source.Row,
                new HostSettings(Hosts, Guard, forReads),
                password,
                options,
                loggers,
                use,
                source.OwnsReset
            );
    }

    /// <summary>The servers, the row's own host first.</summary>
    public IReadOnlyList<RowHost> Hosts { get; }

    /// <summary>Says which of them may serve.</summary>
    public HostGuard Guard { get; }

    /// <summary>Whose writes may not have reached the standbys.</summary>
    public TenantWrites Writes { get; }

    /// <summary>Connections to the primary.</summary>
    public NpgsqlDataSource Writers => _writers.WithTargetSession(TargetSessionAttributes.ReadWrite);

    /// <summary>The same beside the pool.</summary>
    public NpgsqlDataSource Unpooled => _unpooled.Value.WithTargetSession(TargetSessionAttributes.ReadWrite);

    /// <summary>Where a tenant's read-only context reads: at a standby, or at the primary where that is needed or all there is.</summary>
    public NpgsqlDataSource ReadersFor(TenantId tenant)
    {
        // A scope is one transaction, which is one session.
        if (Transaction.Current is not null)
        {
            return Writers;
        }

        var states = Guard.States;
        var mustSeeWrites =
            _options.ReadYourWrites && !states.IsPrimaryLost && Writes.IsUnsettled(tenant, states.SettledAt);
        return _readers.Value.WithTargetSession(
            mustSeeWrites ? TargetSessionAttributes.Primary : TargetSessionAttributes.PreferStandby
        );
    }

    /// <summary>Notes that a lease of the tenant has ended that wrote.</summary>
    public void EndWrite(TenantId tenant)
    {
        if (Transaction.Current is { } scope)
        {
            // What it wrote is committed with the scope.
            scope.TransactionCompleted += (_, _) => Writes.End(tenant, _time.GetTimestamp());
        }
        else
        {
            Writes.End(tenant, _time.GetTimestamp());
        }
    }

    /// <summary>Waits until the servers have been looked at once.</summary>
    public ValueTask FirstLookAsync(bool async, CancellationToken ct) => _watch.FirstLookAsync(async, ct);

    /// <summary>Takes over the answers of a look.</summary>
    public void Look(long begun, IReadOnlyList<HostAnswer?> answers)
    {
        var isRefused = Guard.Look(
            begun,
            answers,
            (from, to) => _time.GetElapsedTime(from, to) > _options.MaxStandbyLag
        );

        // Not before the states are in force: what is opened until then is closed when it comes back.
        ClearIfReplaced();
        if (isRefused && _readers.IsValueCreated)
        {
            _readers.Value.Clear();
        }

        Writes.Settle(Guard.States.SettledAt);
    }

    /// <exception cref="ConnectionUnavailableException">The connection leads to a server that must not serve.</exception>
    public void ThrowIfRefused(PhysicalConnection physical)
    {
        if (Guard.RefusalOf(physical) is { } refusal)
        {
            ClearIfReplaced();
            throw OpenFailure.NoHost(_source.Row, refusal);
        }
    }

    /// <summary>
    /// Lets the driver try hosts again that it has not tried since it remembers them as useless; once in each interval, so that a host
    /// that is down does not hold up everybody.
    /// </summary>
    public bool ForgetsStates(NpgsqlException e)
    {
        var forgotAt = Volatile.Read(ref _forgotAt);
        var now = _time.GetTimestamp();
        if (
            !HostFailure.MayHaveUntried(e)
            || (forgotAt != 0 && _time.GetElapsedTime(forgotAt, now) < HostWatch.Interval)
            || Interlocked.CompareExchange(ref _forgotAt, now, forgotAt) != forgotAt
        )
        {
            return false;
        }

        ForgetStates();
        return true;
    }

    /// <summary>Closes what is idle, and what is in use when it comes back.</summary>
    public void Clear()
    {
        _writers.Clear();
        if (_readers.IsValueCreated)
        {
            _readers.Value.Clear();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _watch.DisposeAsync().ConfigureAwait(false);
        await _writers.DisposeAsync().ConfigureAwait(false);
        foreach (var made in new[] { _readers, _unpooled }.Where(s => s.IsValueCreated))
        {
            await made.Value.DisposeAsync().ConfigureAwait(false);
        }

        foreach (var host in Hosts)
        {
            await host.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Throws away what nobody has used.</summary>
    public void Dispose() => _writers.Dispose();

    private void ClearIfReplaced()
    {
        var newest = Guard.Timeline.Newest;
        if (Interlocked.Exchange(ref _clearedFor, newest) == newest)
        {
            return;
        }

        Clear();
        ForgetStates();
    }

    private void ForgetStates()
    {
        _writers.ClearDatabaseStates();
        if (_unpooled.IsValueCreated)
        {
            _unpooled.Value.ClearDatabaseStates();
        }

        if (_readers.IsValueCreated)
        {
            _readers.Value.ClearDatabaseStates();
        }
    }
}
