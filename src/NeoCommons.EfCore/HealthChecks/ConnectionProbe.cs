using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore;

/// <summary>Looks at one connection through the application's own pool.</summary>
internal sealed class ConnectionProbe(
    TenantDataSources sources,
    ConnectionOpening opening,
    IOptions<ConnectionHealthOptions> options,
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

        if (row.Password.Fault is not null)
        {
            return (ConnectionHealthStatus.Unhealthy, "secret cannot be read", false);
        }

        if (DataSourceBuilding.FindFaults(row).Any())
        {
            return (ConnectionHealthStatus.Unhealthy, nameof(ConnectionUnavailableReason.InvalidConfiguration), false);
        }

        if (!sources.InUse.Contains(row.Name))
        {
            // A pool exists only after its first use, and looking is not a use.
            return (ConnectionHealthStatus.Unknown, "not used yet", false);
        }

        using var timeout = new CancellationTokenSource(options.Value.Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, timeout.Token);
        try
        {
            await AskAsync(row, either.Token).ConfigureAwait(false);
            return (ConnectionHealthStatus.Healthy, null, true);
        }
        catch (ConnectionUnavailableException e)
        {
            return (ConnectionHealthStatus.Unhealthy, e.Reason.ToString(), true);
        }
        catch (Exception) when (timeout.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            return (ConnectionHealthStatus.Unhealthy, "timeout", true);
        }
        catch (Exception e) when (e is Npgsql.NpgsqlException or NeoCommonsException)
        {
            return (ConnectionHealthStatus.Unhealthy, nameof(ConnectionUnavailableReason.Unreachable), true);
        }
    }

    private async Task AskAsync(DatabaseConnection row, CancellationToken ct)
    {
        var source = await sources.AcquireAsync(row.Name, ct).ConfigureAwait(false);
        try
        {
            var connection = source.Source.CreateConnection();
            await using var _ = connection.ConfigureAwait(false);
            await opening.OpenAsync(connection, source.Row, "SELECT 1", async: true, ct).ConfigureAwait(false);
        }
        finally
        {
            source.Release();
        }
    }
}
