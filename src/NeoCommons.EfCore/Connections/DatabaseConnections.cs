using System.Data;
using System.Transactions;
using Npgsql;
using static NeoCommons.EfCore.ConnectionUnavailableReason;

namespace NeoCommons.EfCore;

internal sealed class DatabaseConnections(
    TenantDataSources sources,
    ITenantStore tenants,
    SearchPath searchPath,
    ConnectionOpening opening,
    IConnectionRegistry registry,
    ConnectionMonitor monitor
) : IDatabaseConnections
{
    /// <summary>However often a row changes while a caller waits for its pool.</summary>
    private const int MostMoves = 100;

    // What SQL of the application uses is not known.
    private const int TablesOfRawSql = 10;

    public async ValueTask<NpgsqlDataSource> GetDataSourceAsync(string connectionName, CancellationToken ct = default)
    {
        for (var movesLeft = MostMoves; ; movesLeft--)
        {
            var source = await sources.AcquireForHandOutAsync(connectionName, ct).ConfigureAwait(false);
            try
            {
                // Nobody sees the opens of a source that is given away.
                source.Breaker.ThrowIfOpen();
                if (!source.IsProbed)
                {
                    using var apart = new TransactionScope(
                        TransactionScopeOption.Suppress,
                        TransactionScopeAsyncFlowOption.Enabled
                    );
                    await using var _ = (
                        await opening.OpenNewAsync(source, pooled: true, ct, OpenUse.Movable).ConfigureAwait(false)
                    ).ConfigureAwait(false);
                }

                return source.HandOut();
            }
            catch (ConnectionUnavailableException e) when (e.Reason == Replaced && movesLeft > 0)
            {
                // The row's present pool serves.
            }
            finally
            {
                source.Release();
            }
        }
    }

    public ValueTask<NpgsqlConnection> OpenConnectionAsync(string connectionName, CancellationToken ct = default) =>
        // In a TransactionScope the driver hands on the physical connection, search path and all, that a tenant's context
        // has just closed.
        OpenAsync(
            connectionName,
            !AmbientScope.IsPresent ? null : searchPath.Nobody.Statement(inTransaction: true),
            null,
            ct
        );

    public async ValueTask<NpgsqlConnection> OpenTenantConnectionAsync(TenantId tenant, CancellationToken ct = default)
    {
        if (AmbientScope.IsPresent)
        {
            throw new TenantIsolationException(
                "A tenant's raw connection cannot be part of a TransactionScope: closed, it would be handed on with the "
                    + "tenant's search path. Begin a transaction on the connection, or use a context.",
                tenant
            );
        }

        var found = await tenants.GetActiveAsync(tenant, ct).ConfigureAwait(false);
        return await OpenAsync(found.ConnectionName, searchPath.To(found).Statement(inTransaction: false), found, ct)
            .ConfigureAwait(false);
    }

    public PoolMetrics GetPoolMetrics(string connectionName)
    {
        ArgumentException.ThrowIfNullOrEmpty(connectionName);
        return sources.Meter.Read(connectionName);
    }

    public IReadOnlyList<TenantUsage> GetTopTenants(int count = 10, string? connectionName = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        return
        [
            .. sources
                .Current.Where(source => connectionName is null || source.Row.Name == connectionName)
                .SelectMany(source => source.Tenants.Usages(source.Row.Name))
                .OrderByDescending(usage => usage.ConnectionTime)
                .ThenBy(usage => usage.Slug, StringComparer.Ordinal)
                .Take(count),
        ];
    }

    public async ValueTask<IReadOnlyDictionary<string, ConnectionHealth>> CheckAsync(
        string? connectionName = null,
        CancellationToken ct = default
    )
    {
        // Each look has a session of its own, and none of the caller's transaction.
        using var apart = new TransactionScope(
            TransactionScopeOption.Suppress,
            TransactionScopeAsyncFlowOption.Enabled
        );
        return await monitor
            .LookAsync(
                connectionName is null ? await registry.ListAsync(ct).ConfigureAwait(false)
                    : await registry.FindAsync(connectionName, ct).ConfigureAwait(false) is { } row ? [row]
                    : throw new ConnectionNotFoundException(connectionName),
                ct
            )
            .ConfigureAwait(false);
    }

    public Task CloseAsync(string connectionName)
    {
        ArgumentException.ThrowIfNullOrEmpty(connectionName);
        return sources.CloseAsync(connectionName);
    }

    public Task CloseAllAsync() => sources.CloseAllAsync();

    // Nothing binds it, and nothing counts it.
    private void RefuseReopening(NpgsqlConnection connection, PooledDataSource source)
    {
        if (!AmbientScope.IsPresent)
        {
            throw new TenantIsolationException(
                "A connection from IDatabaseConnections is open when it is handed out, and is used until it is closed. To "
                    + "go on, ask for another."
            );
        }

        // An exception would make the driver put the scope's physical connection, transaction and all, into the pool.
        opening.Bind(connection, source, searchPath.Nobody.Statement(inTransaction: true));
    }

    private async ValueTask<NpgsqlConnection> OpenAsync(
        string connectionName,
        SessionStatement? bind,
        Tenant? tenant,
        CancellationToken ct
    )
    {
        for (var movesLeft = MostMoves; ; movesLeft--)
        {
            var source = await sources.AcquireForWorkAsync(connectionName, writes: true, ct).ConfigureAwait(false);
            var permits = new ConnectionPermits();
            try
            {
                ThrowIfUnbindable(source, tenant?.Id);
                permits.Limiter = tenant is null ? null : source.Tenants.Enter(tenant, source.Row);
                var (connection, physical) = await OpenUnleasedAsync(source, permits, bind, tenant?.Id, ct)
                    .ConfigureAwait(false);
                if (tenant is not null)
                {
                    opening.Visit(physical, source, tenant.Schema, TablesOfRawSql);
                }

                EndLeaseWith(connection, physical, source, tenant?.Id, permits);
                return connection;
            }
            catch (Exception e)
            {
                permits.End();
                source.Release();
                if (e is not ConnectionUnavailableException { Reason: Replaced } || movesLeft == 0)
                {
                    throw;
                }
            }
        }
    }

    private static void ThrowIfUnbindable(PooledDataSource source, TenantId? tenant)
    {
        source.ThrowIfInScope(null);
        if (tenant is not null && source.Row.Pooler == PoolerMode.Transaction)
        {
            throw new TenantIsolationException(
                $"A tenant's raw connection is bound by search_path, which the transaction pooler of connection "
                    + $"'{source.Row.Name}' hands from client to client. {PoolerProbe.Remedies}",
                tenant
            );
        }
    }

    private async ValueTask<(NpgsqlConnection Connection, PhysicalConnection Physical)> OpenUnleasedAsync(
        PooledDataSource source,
        ConnectionPermits permits,
        SessionStatement? bind,
        TenantId? tenant,
        CancellationToken ct
    )
    {
        var connection = permits.Choose(source).CreateConnection();
        try
        {
            return (
                connection,
                await opening
                    .OpenAsync(connection, source, permits, bind, async: true, ct, tenant, OpenUse.Movable)
                    .ConfigureAwait(false)
            );
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private void EndLeaseWith(
        NpgsqlConnection connection,
        PhysicalConnection physical,
        PooledDataSource source,
        TenantId? tenant,
        ConnectionPermits permits
    )
    {
        var ended = false;

        // Nobody sees what it does. When it is closed, the session is another one's already.
        physical.NeedsReset |= source.OwnsReset;
        var writes = new LeaseWrites();
        writes.Begin(source, tenant);
        connection.StateChange += (_, change) =>
        {
            if (change.CurrentState == ConnectionState.Open)
            {
                RefuseReopening(connection, source);
                return;
            }

            if (Interlocked.Exchange(ref ended, true))
            {
                return;
            }

            writes.End();
            try
            {
                opening.EndUse(connection, physical, source, permits);
            }
            finally
            {
                permits.End();
                source.Release();
            }
        };
    }
}
