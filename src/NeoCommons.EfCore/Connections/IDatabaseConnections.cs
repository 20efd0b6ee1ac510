using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Registered databases for raw ADO.NET, Dapper and COPY; the same pools that the contexts use.</summary>
/// <remarks>
/// <para>Thread-safe, a singleton. A pool is built at its first use.</para>
/// <para>
/// A connection that is not bound to a tenant has a search path that names no existing schema: an unqualified table
/// name is an error (42P01), never a table of <c>public</c> or of a tenant. Qualify names, or ask for a tenant's
/// connection.
/// </para>
/// </remarks>
public interface IDatabaseConnections
{
    /// <summary>The data source of a registered database.</summary>
    /// <remarks>
    /// Ask again each time rather than keep it: when the row changes, one of its hosts falls silent, or its server was away for
    /// long, another data source takes its place and this one is disposed after <see cref="ConnectionOptions.DrainTimeout"/>.
    /// Never dispose it.
    /// </remarks>
    /// <exception cref="ConnectionNotFoundException">There is no such row.</exception>
    /// <exception cref="ConnectionUnavailableException">The row is inactive or its values cannot be used.</exception>
    /// <exception cref="SecretDecryptionException">The row's password cannot be decrypted.</exception>
    ValueTask<NpgsqlDataSource> GetDataSourceAsync(string connectionName, CancellationToken ct = default);

    /// <summary>Opens a connection that is bound to no tenant. Dispose it to give it back to the pool.</summary>
    /// <exception cref="ConnectionNotFoundException">There is no such row.</exception>
    /// <exception cref="ConnectionUnavailableException">
    /// The row is inactive, its values cannot be used, the pool is exhausted, or the server cannot be reached or refuses.
    /// </exception>
    /// <exception cref="SecretDecryptionException">The row's password cannot be decrypted.</exception>
    ValueTask<NpgsqlConnection> OpenConnectionAsync(string connectionName, CancellationToken ct = default);

    /// <summary>
    /// Opens a connection of the tenant's database that is bound to the tenant's schema until it is closed. Dispose it
    /// to give it back to the pool; it cannot be opened again.
    /// </summary>
    /// <exception cref="TenantIsolationException">
    /// It would become part of a <c>TransactionScope</c>: begin a transaction on the connection instead.
    /// </exception>
    /// <exception cref="TenantNotFoundException">There is no such tenant.</exception>
    /// <exception cref="TenantUnavailableException">The tenant is not active.</exception>
    /// <exception cref="ConnectionNotFoundException">The tenant's connection is not registered.</exception>
    /// <exception cref="ConnectionUnavailableException">As in <see cref="OpenConnectionAsync"/>.</exception>
    /// <exception cref="SecretDecryptionException">The row's password cannot be decrypted.</exception>
    ValueTask<NpgsqlConnection> OpenTenantConnectionAsync(TenantId tenant, CancellationToken ct = default);

    /// <summary>The pool of a connection in this process, now; all counts are zero where it was not used yet.</summary>
    PoolMetrics GetPoolMetrics(string connectionName);

    /// <summary>The tenants that have held connections the longest lately in this process, the greediest first.</summary>
    /// <remarks>
    /// It goes over the tenants that were in use in the last minute: ask every few seconds, not in every request. Series of a
    /// meter are by connection only, since one for each tenant would be too many.
    /// </remarks>
    /// <param name="count">How many at most. <value>Default: 10.</value></param>
    /// <param name="connectionName">The tenants of this connection only; null: of all.</param>
    /// <exception cref="ArgumentOutOfRangeException">The number is below one.</exception>
    IReadOnlyList<TenantUsage> GetTopTenants(int count = 10, string? connectionName = null);

    /// <summary>
    /// Looks at a connection now, or at all, as the health checks do in the background: a session of the pool, or one beside it
    /// where none is idle. A connection that this process has not used is not looked at.
    /// </summary>
    /// <param name="connectionName">The connection; null: all of them.</param>
    /// <param name="ct">Cancels.</param>
    /// <returns>How each is, by name. One that cannot be used is an answer, no exception.</returns>
    /// <exception cref="ConnectionNotFoundException">No connection of this name is registered.</exception>
    ValueTask<IReadOnlyDictionary<string, ConnectionHealth>> CheckAsync(
        string? connectionName = null,
        CancellationToken ct = default
    );

    /// <summary>
    /// Closes the pool of a connection: idle connections at once, leased ones when they come back, at the latest after
    /// <see cref="ConnectionOptions.DrainTimeout"/>. The next use builds a new pool. A name without a pool is no error.
    /// </summary>
    /// <returns>A task that ends when the pool is closed.</returns>
    Task CloseAsync(string connectionName);

    /// <summary>Closes every pool, as <see cref="CloseAsync"/> does.</summary>
    Task CloseAllAsync();
}
