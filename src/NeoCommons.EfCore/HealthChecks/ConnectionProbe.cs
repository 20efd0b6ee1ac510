using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore;

/// <summary>Looks at one connection through the application's own pool.</summary>
internal sealed class ConnectionProbe(
    TenantDataSources sources,
    ConnectionOpening opening,
    IOptions<ConnectionHealthOptions> options,
    IOptions<ConnectionOptions> connections,
    TimeProvider time
)
{
    public async Task<ConnectionHealth> LookAsync(DatabaseConnection row, CancellationToken ct)
    {
        var started = time.GetTimestamp();
        var (status, reason, tried) = await TryAsync(row, ct).ConfigureAwait(false);
        var took = time.GetElapsedTime(started);
        if (status == ConnectionHealthStatus.Healthy && took >= options.Value.SlowAfter)
        {
            (status, reason) = (ConnectionHealthStatus.Degraded, "slow");
        }

        return new ConnectionHealth
        {
            Status = status,
            Reason = reason,
            Type = row.Type,
            RegionId = row.RegionId,
            ResponseMilliseconds = tried ? Math.Round(took.TotalMilliseconds, 2) : null,
            Pool = sources.Meter.Read(row.Name),
        };
    }

    /// <summary>The pool of a connection, without touching the server.</summary>
    public ConnectionHealth LookAtPool(DatabaseConnection row)
    {
        var pool = sources.Meter.Read(row.Name);
        var (status, reason) =
            pool.Max == 0 ? (ConnectionHealthStatus.Unknown, "not used yet")
            : pool.Saturation >= options.Value.SaturatedFrom ? (ConnectionHealthStatus.Degraded, "saturated")
            : (ConnectionHealthStatus.Healthy, (string?)null);
        return new ConnectionHealth
        {
            Status = status,
            Reason = reason,
            Type = row.Type,
            RegionId = row.RegionId,
            Pool = pool,
        };
    }

    private async Task<(ConnectionHealthStatus Status, string? Reason, bool Tried)> TryAsync(
        DatabaseConnection row,
        CancellationToken ct
    )
    {
        if (!row.IsActive)
        {
            return (ConnectionHealthStatus.Unknown, "inactive", false);
        }

        if (row.Password.FaultKind is { } fault)
        {
            return (ConnectionHealthStatus.Unhealthy, fault, false);
        }

        if (RowValidation.FindFaults(row, connections.Value) is { Count: > 0 } faults)
        {
            var what = string.Join(", ", faults.Select(f => f.What));
            return (
                ConnectionHealthStatus.Unhealthy,
                $"{nameof(ConnectionUnavailableReason.InvalidConfiguration)}: {what}",
                false
            );
        }

        if (!sources.IsInUse(row.Name))
        {
            // A pool exists only after its first use, and looking is not a use.
            return (ConnectionHealthStatus.Unknown, "not used yet", false);
        }

        var pool = sources.Meter.Read(row.Name);
        var asking = AskAsync(row, ct);
        try
        {
            // Not until it ends: to cancel a command the driver opens another connection, which takes as long as any.
            await asking.WaitAsync(options.Value.Timeout, time, ct).ConfigureAwait(false);
            return (ConnectionHealthStatus.Healthy, null, true);
        }
        catch (TimeoutException) when (!pool.IsFull)
        {
            Forget(asking);
            return (ConnectionHealthStatus.Unhealthy, "timeout", true);
        }
        catch (Exception e)
            when (e
                    is TimeoutException
                        or ConnectionUnavailableException { Reason: ConnectionUnavailableReason.PoolExhausted }
            )
        {
            // Busy is not down: whoever takes such a process away makes the others busier.
            Forget(asking);
            return (ConnectionHealthStatus.Degraded, "saturated", true);
        }
        catch (ConnectionUnavailableException e)
        {
            return (ConnectionHealthStatus.Unhealthy, e.Reason.ToString(), true);
        }
        catch (Exception) when (!ct.IsCancellationRequested)
        {
            // Whatever it is, its text may name hosts and users, and the other connections have an answer.
            return (ConnectionHealthStatus.Unhealthy, nameof(ConnectionUnavailableReason.Unreachable), true);
        }
    }

    private static void Forget(Task asking) =>
        _ = asking.ContinueWith(
            static ended => ended.Exception,
            CancellationToken.None,
            TaskContinuationOptions.OnlyOnFaulted,
            TaskScheduler.Default
        );

    private async Task AskAsync(DatabaseConnection row, CancellationToken ct)
    {
        using var timeout = new CancellationTokenSource(options.Value.Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, timeout.Token);
        var source = await sources.AcquireAsync(row.Name, either.Token).ConfigureAwait(false);
        try
        {
            var connection = await opening.OpenNewAsync(source, pooled: true, either.Token).ConfigureAwait(false);
            await using var _ = connection.ConfigureAwait(false);
            var command = connection.CreateCommand();
            await using var __ = command.ConfigureAwait(false);
            command.CommandText = "SELECT 1";
            await command.ExecuteNonQueryAsync(either.Token).ConfigureAwait(false);
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
}
