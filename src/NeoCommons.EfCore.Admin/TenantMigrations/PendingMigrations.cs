using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Reads what a tenant's schema lacks; changes nothing.</summary>
internal sealed class PendingMigrations(
    TenantDataSources sources,
    ConnectionOpening opening,
    SearchPath searchPath,
    TimeProvider time
)
{
    /// <exception cref="ConnectionUnavailableException">The tenant's database cannot be used.</exception>
    /// <exception cref="TenantIsolationException">The tenant's schema does not exist.</exception>
    /// <exception cref="InvalidOperationException">Its history cannot be read, because somebody has locked it for one.</exception>
    public async Task<IReadOnlyList<MigrationStep>> ReadAsync(
        Tenant tenant,
        IReadOnlyList<MigrationScript> scripts,
        CancellationToken ct
    )
    {
        var source = await sources.AcquireAsync(tenant.ConnectionName, ct).ConfigureAwait(false);
        try
        {
            var connection = await opening.OpenNewAsync(source, pooled: false, ct).ConfigureAwait(false);
            await using var _ = connection.ConfigureAwait(false);

            // Whatever stands before the database: what is read lies in one transaction, which is rolled back.
            var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
            await using var __ = transaction.ConfigureAwait(false);
            var reading = new SchemaMigration(
                connection,
                tenant.Schema,
                searchPath,
                time,
                hasSession: false,
                TimeSpan.FromMilliseconds(SchemaMigration.ReadPatience)
            );
            await reading.BindAsync(ct).ConfigureAwait(false);
            return (await reading.PlanAsync(scripts, ct).ConfigureAwait(false)).Pending;
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.LockNotAvailable)
        {
            throw SchemaMigration.Unreadable(tenant.Schema, e.SqlState + ": " + e.MessageText);
        }
        finally
        {
            source.Release();
        }
    }
}
