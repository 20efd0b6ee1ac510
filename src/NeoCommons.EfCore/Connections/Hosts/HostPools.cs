using Microsoft.Extensions.Logging;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>The data sources of a row that names several servers, and what keeps them right.</summary>
/// <remarks>
/// A server that takes connections and says nothing is left out of them. The driver does not do that (Npgsql 10.0.3: an open that
/// times out does not count its host as offline), and whoever met it first would wait for the pool's timeout, again and again. A
/// data source's servers cannot be changed, so the pool is replaced, as for a changed row.
/// </remarks>
internal sealed class HostPools : IDisposable, IAsyncDisposable
{
    private readonly PooledDataSource _source;
    private readonly ConnectionOptions _options;
    private readonly TimeProvider _time;
    private readonly HostMemory _memory;
    private readonly HostCalls _calls;
    private readonly Lock _clearing = new();
    private readonly HostSources _pooled;
    private readonly HostSources _apart;
    private readonly HostSources _unpooled;
    private readonly HostWatch _watch;
    private (string? System, long Newest) _clearedFor;

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
        _memory = memory;
        var row = source.Row;
        DataSourceBuilding.ThrowIfFaulty(row, options);
        Hosts = [.. HostAddress.AllOf(row).Select((address, number) => NewHost(number, address))];
        var before =
            memory.HandoverOf(row.Name, Addresses) is { } left && time.GetElapsedTime(left.At) < HostHandover.Lasting
                ? left
                : null;
        LeftOut = before?.Silent ?? new HashSet<int>();
        Guard = new HostGuard(source, Hosts, memory, before?.States, time);
        Retries = new HostRetries(this, source, time);
        Outage = new HostOutage(
            source,
            Hosts,
            options.Breaker.RebuildAfter,
            () => Replace(_watch!.Silent),
            loggers.CreateLogger<HostOutage>(),
            time
        );
        _calls = new HostCalls(password, Guard);
        Writes = memory.WritesOf(row.Name);
        _pooled = new(forReads => Build(DataSourceUse.Pool, forReads));
        _apart = new(forReads => Build(DataSourceUse.Apart, forReads));
        _unpooled = new(forReads => Build(DataSourceUse.Beside, forReads));
        _watch = new HostWatch(source, this, loggers.CreateLogger<HostWatch>(), time);

        RowHost NewHost(int number, HostAddress address)
        {
            var passwords = new PasswordGate(options.RefusedPasswordBackOff, time);
            return new RowHost(
                number,
                address,
                passwords,
                DataSourceBuilding.BuildAt(
                    address,
                    row,
                    (_, async, ct) => passwords.AskAsync(() => source.Row, null, isWatched: true, async, ct),
                    options,
                    loggers,
                    SessionEnd.Patience
                )
            );
        }

        NpgsqlMultiHostDataSource Build(DataSourceUse use, bool forReads) =>
            DataSourceBuilding.BuildMultiHost(
                source.Row,
                new HostSettings([.. HostsInUse], _calls, forReads),
                _calls.AskPasswordAsync,
                options,
                loggers,
                use,
                source.OwnsReset
            );
    }

    /// <summary>The servers, the row's own host first.</summary>
    public IReadOnlyList<RowHost> Hosts { get; }

    /// <summary>When an open asks them once more.</summary>
    public HostRetries Retries { get; }

    /// <summary>Says which of them may serve.</summary>
    public HostGuard Guard { get; }

    /// <summary>Whether all of them are away.</summary>
    public HostOutage Outage { get; }

    /// <summary>Whose writes may not have reached the standbys.</summary>
    public TenantWrites Writes { get; }

    /// <summary>The servers, by number, that no connection is opened to: they say nothing.</summary>
    public IReadOnlySet<int> LeftOut { get; }

    /// <summary>The others.</summary>
    public IEnumerable<RowHost> HostsInUse => Hosts.Where(host => !LeftOut.Contains(host.Number));

    /// <summary>Connections to the primary.</summary>
    public NpgsqlDataSource Writers => _pooled.Writers;

    /// <summary>How many connections that only read there may be: the driver keeps them apart from the others.</summary>
    public PoolGrowth Reading { get; } = new();

    /// <summary>Idle ones of them that the primary may have; while a standby serves, it is the one that has them.</summary>
    public int IdleReadersAtPrimary => Guard.States.HasStandby ? 0 : Reading.Idle;

    /// <summary>The same beside the pool, for our own work.</summary>
    public NpgsqlDataSource Unpooled => _unpooled.Writers;

    /// <summary>Where a tenant's read-only context reads: at a standby, or at the primary where that is needed or all there is.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="isApart">Whether by sessions of its own (<see cref="Quarantine"/>).</param>
    public NpgsqlDataSource ReadersFor(TenantId tenant, bool isApart) =>
        (isApart ? _apart : _pooled).Readers(atPrimary: MissesWrites(tenant, Guard.States));

    /// <summary>Connections to the primary that end when they are closed.</summary>
    public NpgsqlDataSource WritersApart => _apart.Writers;

    /// <summary>Whether a read-only context of the tenant reads at a standby.</summary>
    public bool ReadsAtStandby(TenantId tenant)
    {
        var states = Guard.States;
        return states.HasStandby && !MissesWrites(tenant, states);
    }

    /// <summary>Notes that a lease of the tenant has ended that wrote.</summary>
    public void EndWrite(TenantId tenant) => Writes.EndWithScope(tenant, _time);

    /// <summary>Notes that something was committed for the tenant, not by a lease.</summary>
    public void NoteWrite(TenantId tenant)
    {
        Writes.Begin(tenant);
        EndWrite(tenant);
    }

    public void Start() => _watch.Start();

    /// <summary>Waits until the servers have been looked at once.</summary>
    public ValueTask FirstLookAsync(bool async, CancellationToken ct) => _watch.FirstLookAsync(async, ct);

    /// <summary>Takes over the answers of a look.</summary>
    public void Look(long begun, IReadOnlyList<HostAnswer?> answers)
    {
        var before = Guard.States;
        var isRefused = Guard.Look(
            begun,
            answers,
            (from, to) => _time.GetElapsedTime(from, to) > _options.MaxStandbyLag
        );

        // Not before the states are in force: what is opened until then is closed when it comes back.
        ClearIfReplaced();
        if (isRefused)
        {
            _pooled.ClearReaders();
            Reading.Shrink();
        }

        if (Hosts.Any(h => before[h.Number].Refusal is not null && Guard.States[h.Number].Refusal is null))
        {
            // The driver would try it again after a time by the wall clock, which may be put back.
            ForgetStates();
        }
        SessionEnd.AtReplaced(_source, this, _time);
        if (!_source.Life.Retiring.IsCancellationRequested)
        {
            // One that drains knows less than the one that serves: that may have further standbys.
            Writes.Settle(Guard.States.SettledAt);
        }
    }

    /// <summary>Takes over which servers say nothing; where others are left, new leases are of a pool without them.</summary>
    /// <returns>Whether this pool is to be replaced.</returns>
    public bool LeaveOut(IReadOnlySet<int> silent)
    {
        // While all are away nobody is kept waiting, and whichever is back first is to be among those that are tried.
        if (Outage.IsOn || silent.SetEquals(LeftOut))
        {
            return false;
        }

        return Replace(silent);
    }

    private bool Replace(IReadOnlySet<int> silent)
    {
        if (_source.Life.Retiring.IsCancellationRequested)
        {
            // One that drains knows less than the one that serves.
            return false;
        }

        _memory.Leave(
            _source.Row.Name,
            new HostHandover([.. Addresses], Guard.States, silent, _time.GetTimestamp()),
            at => _time.GetElapsedTime(at) > HostHandover.Lasting
        );
        return _source.Outdated?.Invoke(_source) is true;
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

    /// <exception cref="ConnectionUnavailableException">It has been open while another primary took the place of its own.</exception>
    public void ThrowIfReplaced(PhysicalConnection? physical)
    {
        if (physical is { Session.IsPrimary: true })
        {
            ThrowIfRefused(physical);
        }
    }

    /// <summary>Lets the driver try hosts again that it remembers as useless.</summary>
    public void ForgetStates()
    {
        foreach (var sources in AllSources)
        {
            sources.ForgetStates();
        }
    }

    /// <summary>Closes what is idle, and what is in use when it comes back.</summary>
    public void Clear() => _pooled.Clear();

    public async ValueTask DisposeAsync()
    {
        await _watch.DisposeAsync().ConfigureAwait(false);
        foreach (var sources in AllSources)
        {
            await sources.DisposeAsync().ConfigureAwait(false);
        }

        foreach (var host in Hosts)
        {
            await host.DisposeAsync().ConfigureAwait(false);
        }

        _calls.Cut();
    }

    /// <summary>Throws away what nobody has used.</summary>
    public void Dispose()
    {
        _pooled.Dispose();
        foreach (var host in Hosts)
        {
            host.Dispose();
        }

        _calls.Cut();
    }

    private IEnumerable<HostAddress> Addresses => Hosts.Select(host => host.Address);

    private HostSources[] AllSources => [_pooled, _apart, _unpooled];

    private bool MissesWrites(TenantId tenant, HostStates states) =>
        _options.ReadYourWrites && !states.IsPrimaryLost && Writes.IsUnsettled(tenant, states.SettledAt);

    private void ClearIfReplaced()
    {
        var now = (Guard.States.System, Guard.Newest);
        lock (_clearing)
        {
            if (_clearedFor == now)
            {
                return;
            }

            _clearedFor = now;
        }

        Clear();
        ForgetStates();
    }
}
