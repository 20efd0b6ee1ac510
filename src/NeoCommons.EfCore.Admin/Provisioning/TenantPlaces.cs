using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Opens where a tenant is, and takes the locks that creation and migration take too.</summary>
internal sealed class TenantPlaces(
    AdminDatabase database,
    TenantDataSources sources,
    AdminConnectionRegistry registry,
    ConnectionOpening opening,
    SearchPath searchPath,
    TimeProvider time
)
{
    /// <summary>Opens the registry, for a change that does not touch the schema.</summary>
    public Task<TenantPlace> OpenRegistryAsync(CancellationToken ct) => TenantPlace.OpenAsync(database, ct);

    /// <summary>Opens registry and database of a connection.</summary>
    public async Task<TenantPlace> OpenAsync(string connectionName, CancellationToken ct) =>
        await TenantPlace
            .OpenAsync(database, await AcquireAsync(connectionName, ct).ConfigureAwait(false), opening, ct)
            .ConfigureAwait(false);

    /// <summary>Begins a lease; a connection that is not known may have been registered since the registry was read.</summary>
    public async Task<PooledDataSource> AcquireAsync(string name, CancellationToken ct)
    {
        try
        {
            return await sources.AcquireAsync(name, ct).ConfigureAwait(false);
        }
        catch (ConnectionNotFoundException)
        {
            await registry.ReloadAsync(ct).ConfigureAwait(false);
            return await sources.AcquireAsync(name, ct).ConfigureAwait(false);
        }
    }

    /// <summary>Tries to get a schema's lock, in the connection's transaction.</summary>
    public Task<bool> TryLockSchemaAsync(
        NpgsqlConnection connection,
        SchemaName schema,
        TimeSpan patience,
        CancellationToken ct
    ) => AdvisoryLock.TryAcquireForTransactionAsync(connection, SchemaMigration.LockKey(schema), patience, time, ct);

    /// <summary>
    /// Waits for the schemas' locks, for as long as the connection's transaction lasts: no migration runs meanwhile.
    /// </summary>
    public async Task LockSchemasAsync(
        NpgsqlConnection connection,
        IEnumerable<SchemaName> schemas,
        CancellationToken ct
    )
    {
        // In one order everywhere, so that no two wait for each other.
        foreach (var schema in schemas.Distinct().OrderBy(s => s.Value, StringComparer.Ordinal))
        {
            await new SchemaMigration(connection, schema, searchPath, time, hasSession: false)
                .LockAsync(ct)
                .ConfigureAwait(false);
        }
    }
}
