using System.Data;
using System.Transactions;
using Npgsql;

namespace NeoCommons.EfCore;

internal sealed class DatabaseConnections(
    TenantDataSources sources,
    ITenantStore tenants,
    SearchPath searchPath,
    ConnectionOpening opening
) : IDatabaseConnections
{
    public async ValueTask<NpgsqlDataSource> GetDataSourceAsync(string connectionName, CancellationToken ct = default)
    {
        var source = await sources.AcquireForHandOutAsync(connectionName, ct).ConfigureAwait(false);
        try
        {
            // Nobody sees the opens of a source that is given away.
            if (!source.IsProbed)
            {
                var connection = await opening.OpenNewAsync(source, pooled: true, ct).ConfigureAwait(false);
                await connection.DisposeAsync().ConfigureAwait(false);
            }

            return source.HandOut();
        }
        finally
        {
            source.Release();
        }
    }

    public async ValueTask<NpgsqlConnection> OpenConnectionAsync(string connectionName, CancellationToken ct = default)
    {
        var source = await sources.AcquireAsync(connectionName, ct).ConfigureAwait(false);
        // In a TransactionScope the driver hands on the physical connection, search path and all, that a tenant's context
        // has just closed.
        var bind = Transaction.Current is null ? null : searchPath.Nobody.Statement(inTransaction: true);
        return await OpenAsync(source, bind, ct).ConfigureAwait(false);
    }

    public async ValueTask<NpgsqlConnection> OpenTenantConnectionAsync(TenantId tenant, CancellationToken ct = default)
    {
        if (Transaction.Current is not null)
        {
            throw new TenantIsolationException(
                "A tenant's raw connection cannot be part of a TransactionScope: closed, it would be handed on with the "
                    + "tenant's search path. Begin a transaction on the connection, or use a context.",
                tenant
            );
        }

        var found = await tenants.GetActiveAsync(tenant, ct).ConfigureAwait(false);
        var source = await sources.AcquireAsync(found.ConnectionName, ct).ConfigureAwait(false);
        if (source.Row.Pooler == PoolerMode.Transaction)
        {
            source.Release();
            throw new TenantIsolationException(
                $"A tenant's raw connection is bound by search_path, which the transaction pooler of connection "
                    + $"'{found.ConnectionName}' hands from client to client. {PoolerProbe.Remedies}",
                tenant
            );
        }

        return await OpenAsync(source, searchPath.To(found).Statement(inTransaction: false), ct).ConfigureAwait(false);
    }

    public PoolMetrics GetPoolMetrics(string connectionName)
    {
        ArgumentException.ThrowIfNullOrEmpty(connectionName);
        return sources.Meter.Read(connectionName);
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
        if (Transaction.Current is null)
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
        PooledDataSource source,
        SessionStatement? bind,
        CancellationToken ct
    )
    {
        NpgsqlConnection? connection = null;
        var ended = false;
        try
        {
            source.ThrowIfInScope(null);
            connection = source.Source.CreateConnection();
            var physical = await opening.OpenAsync(connection, source, bind, async: true, ct).ConfigureAwait(false);
            connection.StateChange += EndLease;
            return connection;

            void EndLease(object sender, StateChangeEventArgs change)
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

                physical.NeedsReset |= source.OwnsReset;
                try
                {
                    opening.EndUse(physical, source);
                }
                finally
                {
                    source.Release();
                }
            }
        }
        catch
        {
            source.Release();
            if (connection is not null)
            {
                await connection.DisposeAsync().ConfigureAwait(false);
            }

            throw;
        }
    }
}
