using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore;

/// <summary>One data source per registered database, built at first use, replaced when the row has changed.</summary>
/// <remarks>
/// Each lookup compares with the registry's row of now, so a changed row needs no message to take effect: the next lease
/// sees it.
/// </remarks>
internal sealed class TenantDataSources(
    IConnectionRegistry registry,
    IOptions<ConnectionOptions> options,
    ILoggerFactory loggers,
    TimeProvider time,
    PoolMeter meter
) : IAsyncDisposable, IDisposable
{
    private readonly ConcurrentDictionary<string, PooledDataSource> _current = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<PooledDataSource, Task> _draining = new();
    private readonly ILogger _log = loggers.CreateLogger<TenantDataSources>();
    private volatile bool _disposed;

    /// <summary>Reads the pools. It listens before there is one: who began to wait earlier would be missed.</summary>
    public PoolMeter Meter { get; } = meter;

    /// <summary>The names of the connections that have a pool.</summary>
    public IEnumerable<string> InUse => _current.Keys;

    /// <summary>Whether the connection of this name has a pool; copies no list of names.</summary>
    public bool IsInUse(string name) => _current.ContainsKey(name);

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
        var row = await registry.FindAsync(name, ct).ConfigureAwait(false);
        if (row is not { IsActive: true })
        {
            Retire(name);
            throw row is null
                ? new ConnectionNotFoundException(name)
                : new ConnectionUnavailableException(
                    name,
                    ConnectionUnavailableReason.Inactive,
                    $"Connection '{name}' is switched off: set is_active to true in its row of admin.database_connections to use it."
                );
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
        if (!_current.TryRemove(name, out var source))
        {
            return Task.CompletedTask;
        }

        source.EndGrace();
        return Drain(source);
    }

    /// <summary>Closes all pools, those that were replaced and still drain too.</summary>
    public Task CloseAllAsync()
    {
        foreach (var source in _draining.Keys)
        {
            source.EndGrace();
        }

        return Task.WhenAll([.. _current.Keys.Select(CloseAsync), .. _draining.Values]);
    }

    /// <summary>For a container that is disposed synchronously; the host disposes asynchronously.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    public async ValueTask DisposeAsync()
    {
        _disposed = true;
        await CloseAllAsync().ConfigureAwait(false);
    }

    private PooledDataSource Acquire(DatabaseConnection row, bool forHandOut)
    {
        var ownsReset =
            !forHandOut && row.Pooler != PoolerMode.Transaction && options.Value.SessionReset == SessionReset.WhenUsed;
        while (true)
        {
            if (
                _current.TryGetValue(row.Name, out var source)
                && !(forHandOut && source.OwnsReset)
                && source.Serves(row)
            )
            {
                if (source.TryAcquire())
                {
                    return source;
                }

                // Retired between the lookup and the lease: whoever retired it removes it too.
                _current.TryRemove(KeyValuePair.Create(row.Name, source));
                continue;
            }

            var built = new PooledDataSource(row, options.Value, loggers, time, ownsReset);
            var won = source is null ? _current.TryAdd(row.Name, built) : _current.TryUpdate(row.Name, built, source);
            if (!won)
            {
                built.Source.Dispose();
            }
            else if (source is not null)
            {
                LogMessages.DataSourceReplaced(_log, row.Name);
                _ = Drain(source);
            }

            if (_disposed)
            {
                Retire(row.Name);
                throw new ObjectDisposedException(nameof(TenantDataSources));
            }
        }
    }

    private void Retire(string name)
    {
        if (_current.TryRemove(name, out var source))
        {
            _ = Drain(source);
        }
    }

    private Task Drain(PooledDataSource source)
    {
        // Whoever closes all waits for this one too.
        _draining.TryAdd(source, source.Closed);
        return DrainAsync(source);
    }

    private async Task DrainAsync(PooledDataSource source)
    {
        try
        {
            await source.RetireAsync(options.Value.DrainTimeout).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            LogMessages.DrainFailed(_log, e, source.Row.Name);
        }
        finally
        {
            _draining.TryRemove(source, out _);
        }
    }
}
