using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Looks at one connection, through the application's own pool where that has one idle.</summary>
internal sealed class ConnectionProbe(
    TenantDataSources sources,
    ConnectionOpening opening,
    CatalogPressures catalogs,
    RowHealths rows,
    IOptions<ConnectionHealthOptions> options,
    TimeProvider time
)
{
    private const string Late = "timeout";
    private const string Saturated = "saturated";

    // Questions that have not ended in time: another one beside them would be another session, look after look.
    private readonly ConcurrentDictionary<string, (Task Asking, Task<Answer> Answer, long At)> _unfinished = new(
        StringComparer.Ordinal
    );

    /// <summary>Asks the server, if the connection is in use; <see cref="Judge"/> what is seen.</summary>
    /// <param name="row">The connection.</param>
    /// <param name="pool">What its pool holds.</param>
    /// <param name="before">What was found before, and when; null where nothing was, or what has changed since.</param>
    /// <param name="ct">Cancels.</param>
    /// <returns>What was found, and when that was asked.</returns>
    public async Task<(ConnectionHealth Health, long At)> LookAsync(
        DatabaseConnection row,
        PoolMetrics pool,
        (ConnectionHealth Health, long At)? before,
        CancellationToken ct
    )
    {
        var begun = time.GetTimestamp();
        if (LookFromOutside(row) is { } known)
        {
            return (known, begun);
        }

        if (IsBusy(sources.Find(row.Name), pool))
        {
            // It is in use, so it is not waited for. Busy is not down: whoever takes such a process away makes the others busier. Nor is
            // it well, where it was not before, and nobody has asked since.
            return before is { Health.Status: ConnectionHealthStatus.Unhealthy } bad
                ? bad
                : (Health(row, ConnectionHealthStatus.Healthy, null), begun);
        }

        if (!_unfinished.TryGetValue(row.Name, out var earlier) || earlier.Asking.IsCompleted)
        {
            return (Told(await TryAsync(row, HasIdle(row, pool), ct).ConfigureAwait(false)), begun);
        }

        return
            earlier.Answer.IsCompleted
            && time.GetElapsedTime(earlier.At) < options.Value.Interval + options.Value.Timeout
            ? (Told(await earlier.Answer.ConfigureAwait(false)), earlier.At)
            : (Told(new(ConnectionHealthStatus.Unhealthy, Late, options.Value.Timeout)), begun);

        ConnectionHealth Told(Answer answer) =>
            Health(row, answer.Status, answer.Reason) with
            {
                ResponseMilliseconds = Math.Round(answer.Took.TotalMilliseconds, 2),
            };
    }

    /// <summary>How full a pool is, without its server; null where there is none.</summary>
    public PoolHealth? LookAtPool(PoolMetrics? pool)
    {
        if (pool is null or { Max: 0 })
        {
            return null;
        }

        var isSaturated = pool.Saturation >= options.Value.SaturatedFrom;
        return new()
        {
            Status = isSaturated ? ConnectionHealthStatus.Degraded : ConnectionHealthStatus.Healthy,
            Reason = isSaturated ? Saturated : null,
            Idle = pool.Idle,
            Active = pool.Active,
            Max = pool.Max,
            Pending = pool.Pending,
            Saturation = pool.Saturation,
        };
    }

    /// <summary>What is known of a connection without the server; null where that has to be asked.</summary>
    public ConnectionHealth? LookFromOutside(DatabaseConnection row)
    {
        var known = rows.Of(row);
        if (known.Fault is { } fault)
        {
            return fault;
        }

        // A pool exists only after its first use, and looking is not a use.
        var source = sources.Find(row.Name);
        return source is null ? known.Unused
            : source.RefusesAll
                ? Health(
                    row,
                    ConnectionHealthStatus.Unhealthy,
                    source.Hosts is null
                        ? nameof(ConnectionUnavailableReason.CircuitOpen)
                        : nameof(ConnectionUnavailableReason.NoHost)
                ) with
                {
                    Outage = source.Hosts is { } hosts ? hosts.Outage.Now : source.Breaker.Outage,
                    Hosts = source.Hosts.Read(time),
                }
            : null;
    }

    /// <summary>A connection whose server was not asked since its pool or its breaker has changed, or not for too long.</summary>
    /// <param name="row">The connection.</param>
    /// <param name="pool">Its pool.</param>
    /// <param name="isNew">Whether what is open now was opened lately, since the change.</param>
    public ConnectionHealth NotLookedAt(DatabaseConnection row, PoolMetrics pool, bool isNew) =>
        (
            isNew && pool.Total > 0
                ? Health(row, ConnectionHealthStatus.Healthy, null)
                : Health(row, ConnectionHealthStatus.Unknown, "not looked at yet")
        ) with
        {
            Pool = pool,
        };

    /// <summary>Holds what was seen against the thresholds.</summary>
    public ConnectionHealth Judge(ConnectionHealth seen)
    {
        var name = seen.Pool.ConnectionName;
        seen = seen with { Catalog = catalogs.Find(name), Hosts = sources.Find(name)?.Hosts.Read(time) ?? [] };
        var reason =
            seen.Status != ConnectionHealthStatus.Healthy ? seen.Reason
            : seen.Pool.Saturation >= options.Value.SaturatedFrom ? Saturated
            : seen.ResponseMilliseconds >= options.Value.SlowAfter.TotalMilliseconds ? "slow"
            : seen.Hosts.Any(host => host.Reason is not null) ? "host out of service"
            : seen.Catalog is { } catalog && options.Value.IsTooLarge(catalog) ? "catalog pressure"
            : null;
        return reason == seen.Reason ? seen : seen with { Status = ConnectionHealthStatus.Degraded, Reason = reason };
    }

    // Of several servers, those that only read do not serve us, and which ones are idle the driver does not tell.
    private bool HasIdle(DatabaseConnection row, PoolMetrics pool) =>
        pool.Idle > 0 && sources.Find(row.Name) is { Hosts: null };

    private static bool IsBusy(PooledDataSource? source, PoolMetrics pool) =>
        source is not null
        && (
            (pool.IsFull && source.IsFull)
            || (pool.Active > 0 && source.Server is { Total: not null, Gate: var gate } && gate.Taken >= gate.Permits)
        );

    private ConnectionHealth Health(DatabaseConnection row, ConnectionHealthStatus status, string? reason) =>
        rows.Of(row).Unused with
        {
            Status = status,
            Reason = reason,
        };

    private async Task<Answer> TryAsync(DatabaseConnection row, bool pooled, CancellationToken ct)
    {
        var started = time.GetTimestamp();
        var answer = new TaskCompletionSource<Answer>(TaskCreationOptions.RunContinuationsAsynchronously);
        var asking = AskAsync(row, pooled, answer, ct);
        try
        {
            // Not until it ends: to cancel a command the driver opens another connection, which takes as long as any.
            await asking.WaitAsync(options.Value.Timeout, time, ct).ConfigureAwait(false);
            return await answer.Task.ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            var unfinished = KeyValuePair.Create(row.Name, (asking, answer.Task, started));
            _unfinished[row.Name] = unfinished.Value;
            _ = asking.ContinueWith(
                ended =>
                {
                    _ = ended.Exception;
                    _unfinished.TryRemove(unfinished);
                },
                CancellationToken.None,
                TaskContinuationOptions.None,
                TaskScheduler.Default
            );

            // Where it has answered, it was the count of its catalog that took long.
            return answer.Task.IsCompleted ? await answer.Task.ConfigureAwait(false) : Unhealthy(Late);
        }
        catch (ConnectionUnavailableException e)
        {
            // Others were faster, of this process or another.
            return e.Reason == ConnectionUnavailableReason.PoolExhausted || OpenFailure.IsFull(e) ? Degraded(Saturated)
                // Its standbys serve those who read.
                : e.Reason == ConnectionUnavailableReason.NoHost
                && sources.Find(row.Name)?.Hosts is { Guard.States.HasStandby: true }
                    ? Degraded(e.Reason.ToString())
                : Unhealthy(e.Reason.ToString());
        }
        catch (Exception) when (!ct.IsCancellationRequested)
        {
            // Whatever it is, its text may name hosts and users, and the other connections have an answer.
            return Unhealthy(nameof(ConnectionUnavailableReason.Unreachable));
        }

        Answer Unhealthy(string reason) => new(ConnectionHealthStatus.Unhealthy, reason, time.GetElapsedTime(started));
        Answer Degraded(string reason) => new(ConnectionHealthStatus.Degraded, reason, time.GetElapsedTime(started));
    }

    private async Task AskAsync(
        DatabaseConnection row,
        bool pooled,
        TaskCompletionSource<Answer> answer,
        CancellationToken ct
    )
    {
        var started = time.GetTimestamp();
        using var timeout = new CancellationTokenSource(options.Value.Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, timeout.Token);
        var source = await sources.AcquireAsync(row.Name, either.Token).ConfigureAwait(false);
        try
        {
            var connection = await opening.OpenNewAsync(source, pooled, either.Token).ConfigureAwait(false);
            await using var _ = connection.ConfigureAwait(false);
            var command = connection.CreateCommand();
            await using var __ = command.ConfigureAwait(false);
            command.CommandText = "SELECT 1";
            await command.ExecuteNonQueryAsync(either.Token).ConfigureAwait(false);
            var (status, reason) = await CheckAsync(row.Name, connection, either.Token).ConfigureAwait(false);
            answer.SetResult(new(status, reason, time.GetElapsedTime(started)));
            await catalogs.LookAsync(row.Name, connection, either.Token, ct).ConfigureAwait(false);
        }
        catch (Exception e) when (timeout.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            throw new TimeoutException(null, e);
        }
        finally
        {
            source.Release();
        }
    }

    /// <summary>The worst of what the application's own checks say.</summary>
    private async ValueTask<(ConnectionHealthStatus Status, string? Reason)> CheckAsync(
        string name,
        NpgsqlConnection connection,
        CancellationToken ct
    )
    {
        (ConnectionHealthStatus Status, string? Reason) worst = (ConnectionHealthStatus.Healthy, null);
        foreach (var check in options.Value.Checks.Where(c => c.ConnectionName is null || c.ConnectionName == name))
        {
            ConnectionHealthStatus status;
            try
            {
                status = await check.Check(connection, ct).ConfigureAwait(false);
            }
            catch (Exception) when (!ct.IsCancellationRequested)
            {
                status = ConnectionHealthStatus.Unhealthy;
            }

            if (status > worst.Status)
            {
                worst = (status, check.Name);
            }
        }

        return worst;
    }

    /// <summary>What came of a look at the server, and how long it took without the count of the catalog.</summary>
    private sealed record Answer(ConnectionHealthStatus Status, string? Reason, TimeSpan Took);
}
