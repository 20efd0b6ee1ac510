using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore;

/// <summary>One data source per registered database, built at first use, replaced when the row has changed.</summary>
/// <remarks>
/// Each lookup compares with the registry's row of now, so a changed row needs no message to take effect: the next lease
/// sees it. The message is for those who wait on a pool that is no more, and for pools that nobody asks for again.
/// </remarks>
internal sealed class TenantDataSources : IAsyncDisposable, IDisposable
{
    private readonly CurrentPools _current;
    private readonly RetiredPools _retired;
    private readonly SemaphoreSlim _changing = new(1);
    private readonly HostUpkeep _upkeep;
    private readonly RowRefresh _refresh;
    private readonly LeftBehind _left;
    private readonly IConnectionRegistry _registry;
    private readonly ConnectionOptions _options;
    private readonly ServerBudgets _servers;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _log;
    private readonly TimeProvider _time;
    private readonly IDisposable _following;
    private volatile bool _disposed;

    public TenantDataSources(
        IConnectionRegistry registry,
        IOptions<ConnectionOptions> options,
        ILoggerFactory loggers,
        TimeProvider time,
        PoolMeter meter,
        ServerBudgets servers
    )
    {
        _registry = registry;
        _options = options.Value;
        _servers = servers;
        _loggers = loggers;
        _log = loggers.CreateLogger<TenantDataSources>();
        _time = time;
        _refresh = new(registry, _changing, _log, time);
        _retired = new(_options, _log, meter, name => _disposed ? Task.CompletedTask : _upkeep!.AfterAsync(name));
        _current = new(_retired);
        _left = new(registry, () => _retired.EndSessions, _log, time);
        _upkeep = new(Hosts, registry, _changing, _current.RowsOfAll, _log);
        Meter = meter;
        Meter.Find = Find;
        _following = registry.OnChange(name => _ = FollowAsync(name));
    }

    /// <summary>Reads the pools. It listens before there is one: who began to wait earlier would be missed.</summary>
    public PoolMeter Meter { get; }

    /// <summary>What pools leave to those that take their place.</summary>
    public HostMemory Hosts { get; } = new();

    /// <summary>Whether the connection of this name has a pool; copies no list of names.</summary>
    public bool IsInUse(string name) => _current.Has(name);

    /// <summary>The pools of all connections in use.</summary>
    public IEnumerable<PooledDataSource> Current => _current.All;

    /// <summary>The pool of this name; null where there is none.</summary>
    public PooledDataSource? Find(string name) => _current.Find(name);

    /// <summary>Begins a lease of the data source of this name; end it with <see cref="PooledDataSource.Release"/>.</summary>
    public ValueTask<PooledDataSource> AcquireAsync(string name, CancellationToken ct) =>
        AcquireAsync(name, forHandOut: false, ct);

    /// <summary>
    /// Begins a lease of a data source that can be given away: nobody sees what its connections do, so the driver resets
    /// them always. Where the present one leaves that to us, it is replaced.
    /// </summary>
    public ValueTask<PooledDataSource> AcquireForHandOutAsync(string name, CancellationToken ct) =>
        AcquireAsync(name, forHandOut: true, ct);

    private async ValueTask<PooledDataSource> AcquireAsync(string name, bool forHandOut, CancellationToken ct)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_retired.EndSessions)
        {
            throw OpenFailure.ShuttingDown(name);
        }

        var row = await _registry.FindAsync(name, ct).ConfigureAwait(false);
        if (
            row is not null
            && _current.Find(name) is { } source
            && row == source.Row
            && IsFor(source, forHandOut)
            && source.TryAcquire()
        )
        {
            return source;
        }

        // One after the other, and each with what the registry says then: one that was slow would bring back a row, a
        // password even, that is no more.
        await _changing.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            return Acquire(name, await _registry.FindAsync(name, ct).ConfigureAwait(false), forHandOut);
        }
        finally
        {
            _changing.Release();
        }
    }

    private PooledDataSource Acquire(string name, DatabaseConnection? row, bool forHandOut)
    {
        if (row is not { IsActive: true })
        {
            Retire(name);
            throw row is null ? new ConnectionNotFoundException(name) : OpenFailure.Inactive(name);
        }

        if (row.Password.Fault is { } fault)
        {
            throw new SecretDecryptionException($"The password of connection '{name}' cannot be read: {fault}", name);
        }

        return Acquire(row, forHandOut);
    }

    /// <summary>Closes the pool of this name; the returned task ends when it has drained.</summary>
    public Task CloseAsync(string name)
    {
        if (_current.Remove(name) is not { } source)
        {
            return Task.CompletedTask;
        }

        source.Life.EndGrace();
        return _retired.DrainAsync(source);
    }

    /// <summary>Closes all pools, those that were replaced and still drain too.</summary>
    public Task CloseAllAsync()
    {
        _retired.EndGrace();
        return Task.WhenAll([.. _current.All.Select(pool => CloseAsync(pool.Row.Name)), _retired.WhenOver]);
    }

    /// <summary>
    /// Begins no more leases, waits for those that there are, for <see cref="ConnectionOptions.DrainTimeout"/> or until it is
    /// cancelled, and then ends their sessions: none is left on a server.
    /// </summary>
    public async Task ShutDownAsync(CancellationToken ct)
    {
        _retired.EndSessions = true;
        var closing = CloseAllAsync();
        using var _ = ct.Register(_retired.CutShort);
        await closing.ConfigureAwait(false);
    }

    /// <summary>For a container that is disposed synchronously; the host disposes asynchronously.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    public async ValueTask DisposeAsync()
    {
        _disposed = true;
        _following.Dispose();
        await CloseAllAsync().ConfigureAwait(false);
    }

    private static bool IsFor(PooledDataSource source, bool forHandOut) => !(forHandOut && source.OwnsReset);

    private PooledDataSource Acquire(DatabaseConnection row, bool forHandOut)
    {
        var ownsReset =
            !forHandOut && row.Pooler != PoolerMode.Transaction && _options.SessionReset == SessionReset.WhenUsed;
        while (true)
        {
            var source = _current.Find(row.Name);
            if (source is not null && IsFor(source, forHandOut) && source.Serves(row))
            {
                if (source.TryAcquire())
                {
                    return source;
                }

                // Retired between the lookup and the lease: whoever retired it removes it too.
                _current.Forget(source);
                continue;
            }

            var built = new PooledDataSource(row, _options, _loggers, _time, ownsReset, r => Meter.Count(r.Name), Hosts)
            {
                Refresh = _refresh.RunAsync,
                Outdated = Rebuild,
                Successor = Find,
                IsStopping = () => _retired.EndSessions,
                EndLeft = _left.EndAsync,
                Figures = Meter.Track(row.Name),
                Server = _servers.Of(row),
            };
            built.Server.Join(built);
            if (!_current.Put(built, source))
            {
                built.Dispose();
                Meter.Forget(built.Figures);
            }
            else if (source is not null)
            {
                _ = _retired.DrainAsync(source);
                LogMessages.DataSourceReplaced(_log, row.Name);
                source.Figures?.Replaced();
            }

            if (_disposed || _retired.EndSessions)
            {
                Retire(row.Name);
                ObjectDisposedException.ThrowIf(_disposed, this);
                throw OpenFailure.ShuttingDown(row.Name);
            }
        }
    }

    private async Task FollowAsync(string name)
    {
        if (!IsInUse(name))
        {
            await _upkeep.AfterAsync(name).ConfigureAwait(false);
            return;
        }

        await _changing.WaitAsync().ConfigureAwait(false);
        try
        {
            var row = await _registry.FindAsync(name).ConfigureAwait(false);
            if (_current.Find(name) is { } source && !RowRefresh.TakesOver(source, row))
            {
                LogMessages.DataSourceReplaced(_log, name);
                source.Figures?.Replaced();
                Retire(name);
            }
        }
        catch (Exception e)
        {
            LogMessages.ChangeNotFollowed(_log, e, name);
        }
        finally
        {
            _changing.Release();
        }
    }

    private bool Rebuild(PooledDataSource source)
    {
        if (_current.Remove(source.Row.Name, source) is null)
        {
            return false;
        }

        _ = _retired.DrainAsync(source);
        LogMessages.PoolRebuilt(_log, source.Row.Name);
        source.Figures?.Replaced();
        if (source.Hosts is not null)
        {
            _ = this.LookOnAsync(source.Row.Name, _log);
        }

        return true;
    }

    private void Retire(string name)
    {
        if (_current.Remove(name) is { } source)
        {
            _ = _retired.DrainAsync(source);
        }
    }
}
