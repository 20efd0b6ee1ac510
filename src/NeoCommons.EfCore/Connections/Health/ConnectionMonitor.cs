using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore;

/// <summary>Looks at each connection in use in the background, so that whoever asks how they are gets an answer from memory.</summary>
/// <remarks>
/// It runs with the host. Without one, or before it starts, each question is a look. It never makes a pool: what was not
/// used is not looked at; and it waits for a free connection as anybody does, so that a pool does not grow by it.
/// </remarks>
internal sealed class ConnectionMonitor(
    IConnectionRegistry registry,
    TenantDataSources sources,
    ConnectionProbe probe,
    CatalogPressures catalogs,
    IOptions<ConnectionHealthOptions> options,
    TimeProvider time,
    ILogger<ConnectionMonitor> log
) : BackgroundService, IHostedLifecycleService
{
    // Three looks that were left out: something is wrong with the monitor itself.
    private const int LooksOfPatience = 3;

    private readonly ConcurrentDictionary<string, Seen> _seen = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _hasLooked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _isRunning;

    /// <summary>How a connection is, or all are: from memory while the monitor runs, else by a look now.</summary>
    public async ValueTask<IReadOnlyDictionary<string, ConnectionHealth>> ReadAsync(CancellationToken ct)
    {
        if (_started.Task.IsCompleted)
        {
            // Two looks at once would be two connections.
            await _hasLooked.Task.WaitAsync(ct).ConfigureAwait(false);
        }

        if (!_isRunning)
        {
            return await LookAsync(await registry.ListAsync(ct).ConfigureAwait(false), ct).ConfigureAwait(false);
        }

        var rows = await registry.ListAsync(ct).ConfigureAwait(false);
        var pools = Pools();
        var all = new Dictionary<string, ConnectionHealth>(rows.Count, StringComparer.Ordinal);
        foreach (var row in rows)
        {
            all[row.Name] = Remembered(row, pools);
        }

        return all;
    }

    /// <summary>How full the pools of this process are; of connections that have one.</summary>
    public async ValueTask<IReadOnlyDictionary<string, PoolHealth>> ReadPoolsAsync(CancellationToken ct)
    {
        var rows = await registry.ListAsync(ct).ConfigureAwait(false);
        var held = sources.Meter.CountAll();
        var pools = new Dictionary<string, PoolHealth>(StringComparer.Ordinal);
        foreach (var row in rows)
        {
            if (probe.LookAtPool(held.GetValueOrDefault(row.Name)) is { } pool)
            {
                pools[row.Name] = pool;
            }
        }

        return pools;
    }

    /// <summary>Looks at connections now.</summary>
    public async ValueTask<IReadOnlyDictionary<string, ConnectionHealth>> LookAsync(
        IReadOnlyList<DatabaseConnection> rows,
        CancellationToken ct
    )
    {
        var seen = new ConcurrentDictionary<string, Seen>(StringComparer.Ordinal);
        var begun = time.GetTimestamp();
        var pools = Pools(rows);
        var parallel = new ParallelOptions
        {
            MaxDegreeOfParallelism = options.Value.Parallelism,
            CancellationToken = ct,
        };
        await Parallel
            .ForEachAsync(
                rows,
                parallel,
                async (row, ct) =>
                {
                    var pool = pools(row);
                    var (health, at) = await probe.LookAsync(row, pool, Before(row), ct).ConfigureAwait(false);
                    Remember(row.Name, seen[row.Name] = new(health with { Pool = pool }, at, row));
                }
            )
            .ConfigureAwait(false);

        // What they hold now: a look that began earlier is remembered by then, if it is still the last one.
        pools = Pools(rows);
        return rows.ToDictionary(
            row => row.Name,
            row =>
            {
                var (health, at, _) = seen[row.Name];
                Remember(row.Name, new(health with { Pool = pools(row) }, at, row));
                return probe.Judge(health with { Pool = pools(row), AgeSeconds = at < begun ? AgeSince(at) : null });
            },
            StringComparer.Ordinal
        );
    }

    // Of many all at once: each reading of the driver's meter goes over all pools.
    private Func<DatabaseConnection, PoolMetrics> Pools(IReadOnlyList<DatabaseConnection> rows)
    {
        if (rows.Count == 1)
        {
            return row => sources.Meter.Read(row.Name);
        }

        var all = sources.Meter.ReadAll();
        return row => all.GetValueOrDefault(row.Name) ?? new PoolMetrics { ConnectionName = row.Name };
    }

    /// <summary>The host has started, and what other services do at its start, migrations for one, is done.</summary>
    public Task StartedAsync(CancellationToken cancellationToken)
    {
        _started.TrySetResult();
        return Task.CompletedTask;
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken)
    {
        // There may have been no first look, and none to come.
        _hasLooked.TrySetResult();
        return Task.CompletedTask;
    }

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Dispose()
    {
        base.Dispose();
        _hasLooked.TrySetResult();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await _started.Task.WaitAsync(stoppingToken).ConfigureAwait(false);
            using var timer = new PeriodicTimer(options.Value.Interval, time);
            do
            {
                await LookAtUsedAsync(stoppingToken).ConfigureAwait(false);
                _isRunning = true;
                _hasLooked.TrySetResult();
            } while (await timer.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The host stops.
        }
        finally
        {
            _isRunning = false;
            _hasLooked.TrySetResult();
        }
    }

    private async Task LookAtUsedAsync(CancellationToken ct)
    {
        try
        {
            var rows = await registry.ListAsync(ct).ConfigureAwait(false);
            await LookAsync([.. rows.Where(row => sources.IsInUse(row.Name))], ct).ConfigureAwait(false);
            var names = rows.Select(row => row.Name).ToHashSet(StringComparer.Ordinal);
            catalogs.Keep(names);
            foreach (var name in _seen.Keys.Where(name => !names.Contains(name)))
            {
                _seen.TryRemove(name, out _);
            }
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            LogMessages.ConnectionsNotLookedAt(log, e);
        }
    }

    private double AgeSince(long at) => Math.Round(time.GetElapsedTime(at).TotalSeconds, 1);

    // One that took long tells less than one that began later.
    private void Remember(string name, Seen seen) =>
        _seen.AddOrUpdate(
            name,
            static (_, seen) => seen,
            static (_, before, seen) => before.At > seen.At ? before : seen,
            seen
        );

    private ConnectionHealth Remembered(DatabaseConnection row, IReadOnlyDictionary<string, PoolMetrics> pools)
    {
        var held = pools.GetValueOrDefault(row.Name);
        if (probe.LookFromOutside(row) is { } known)
        {
            return held is null ? known : known with { Pool = held };
        }

        var pool = held ?? new PoolMetrics { ConnectionName = row.Name };
        return probe.Judge(
            Last(row.Name) is var (health, at)
                ? health with
                {
                    Pool = pool,
                    AgeSeconds = AgeSince(at),
                }
                : probe.NotLookedAt(row, pool, isNew: time.GetElapsedTime(ChangedAt(row.Name)) <= Oldest)
        );
    }

    // What was seen last, as long as it may still be so.
    private (ConnectionHealth Health, long At)? Last(string name) =>
        _seen.TryGetValue(name, out var seen) && seen.At >= ChangedAt(name) && time.GetElapsedTime(seen.At) <= Oldest
            ? (seen.Health, seen.At)
            : null;

    // Not of a row that has changed, which may be what mends it; nor so long that it is too old before the next look.
    private (ConnectionHealth Health, long At)? Before(DatabaseConnection row) =>
        Last(row.Name) is var (health, at)
        && ReferenceEquals(_seen.GetValueOrDefault(row.Name)?.Row, row)
        && time.GetElapsedTime(at) + options.Value.Interval <= Oldest
            ? (health, at)
            : null;

    // When the pool, or what is known of its servers, became what it is.
    private long ChangedAt(string name) =>
        sources.Find(name) is { } source ? Math.Max(source.Breaker.ChangedAt, source.Hosts?.Outage.ChangedAt ?? 0) : 0;

    // What a pool did is as old as the last look, since that is what takes time to sum up; what it holds is of now.
    private IReadOnlyDictionary<string, PoolMetrics> Pools() =>
        !_isRunning
            ? sources.Meter.ReadAll()
            : sources
                .Meter.CountAll()
                .ToDictionary(
                    counted => counted.Key,
                    counted =>
                        !_seen.TryGetValue(counted.Key, out var seen)
                            ? counted.Value
                            : seen.Health.Pool with
                            {
                                Idle = counted.Value.Idle,
                                Active = counted.Value.Active,
                                Max = counted.Value.Max,
                                Pending = counted.Value.Pending,
                            },
                    StringComparer.Ordinal
                );

    private TimeSpan Oldest => (options.Value.Interval + options.Value.Timeout) * LooksOfPatience;

    private sealed record Seen(ConnectionHealth Health, long At, DatabaseConnection Row);
}
