namespace NeoCommons.EfCore.Admin;

/// <summary>Applies the EF migrations of the registered tenant contexts to tenants' schemas.</summary>
/// <remarks>
/// <para>
/// Thread-safe, a singleton. The pending migrations of a tenant, those of all contexts, run in one transaction on a
/// connection of their own under an advisory lock for the schema: two runners, in one process or in many, never migrate
/// a schema twice, and a failure or a cancellation leaves the schema as it was. The exception is a migration that
/// suppresses its transaction: it runs between transactions, as EF Core runs it, so what came before it stays, and what
/// it did itself before it failed stays without being recorded. Write it so that it can be repeated.
/// </para>
/// <para>
/// The history is a table in the tenant's own schema; contexts that name the same table share it, ordered by id. Before
/// each migration the search path is set again, and an operation that names a schema that is not in
/// <see cref="ConnectionOptions.SharedSchemas"/> is refused. SQL text that names another schema is executed as it is.
/// </para>
/// <para>
/// A caller's <see cref="System.Transactions.TransactionScope"/> does not include any of it. The
/// <c>schema_version</c> of the registry is written after the schema's commit; where that fails, a warning is logged and
/// the next run writes it. Where a migration mentions a type, domain or extension, the tenant's pool reads its types again.
/// </para>
/// </remarks>
public interface ITenantMigrator
{
    /// <summary>Migrates one tenant to the newest migration.</summary>
    /// <exception cref="TenantNotFoundException">There is no such tenant.</exception>
    /// <exception cref="TenantUnavailableException">The tenant is being provisioned or archived.</exception>
    /// <exception cref="TenantIsolationException">The tenant's schema does not exist.</exception>
    /// <exception cref="ConnectionUnavailableException">The tenant's database cannot be used.</exception>
    /// <exception cref="Npgsql.PostgresException">A migration failed; see the remarks for what stays.</exception>
    /// <exception cref="InvalidOperationException">
    /// A model has changes that no migration holds, a migration names a schema that is not shared or an extension without
    /// one, a context has <c>UseSeeding</c>, or two contexts have the same migration id in one history.
    /// </exception>
    Task<TenantMigrationResult> MigrateAsync(TenantId tenant, CancellationToken ct = default);

    /// <summary>Migrates every active and suspended tenant; one that fails does not stop the others.</summary>
    /// <param name="options">How many at a time.</param>
    /// <param name="progress">Gets each tenant's result as it is done.</param>
    /// <param name="ct">
    /// Cancels: no further tenant is begun, those being migrated are rolled back, and
    /// <see cref="OperationCanceledException"/> is thrown. Run again to go on: tenants that are done cost one query.
    /// </param>
    /// <returns>A result per tenant, ordered by slug.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The parallelism is under 1.</exception>
    /// <exception cref="InvalidOperationException">As for one tenant; no tenant is touched.</exception>
    Task<IReadOnlyList<TenantMigrationResult>> MigrateAllAsync(
        MigrateAllOptions? options = null,
        IProgress<TenantMigrationResult>? progress = null,
        CancellationToken ct = default
    );
}
