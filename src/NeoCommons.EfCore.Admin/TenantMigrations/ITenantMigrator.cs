namespace NeoCommons.EfCore.Admin;

/// <summary>Applies the EF migrations of the registered tenant contexts to tenants' schemas.</summary>
/// <remarks>
/// <para>
/// Thread-safe, a singleton. The pending migrations of a tenant run in one transaction on a connection of their own
/// under an advisory lock for the schema: two runners, in one process or in many, never migrate a schema twice, and a
/// failure or a cancellation leaves the schema as it was. Migrations that suppress their transaction run between
/// transactions, as EF Core runs them.
/// </para>
/// <para>The history is a table in the tenant's own schema. Nothing is ever written to another schema by resolution.</para>
/// </remarks>
public interface ITenantMigrator
{
    /// <summary>Migrates one tenant to the newest migration.</summary>
    /// <exception cref="TenantNotFoundException">There is no such tenant.</exception>
    /// <exception cref="TenantUnavailableException">The tenant is being provisioned or archived.</exception>
    /// <exception cref="TenantIsolationException">The tenant's schema does not exist.</exception>
    /// <exception cref="ConnectionUnavailableException">The tenant's database cannot be used.</exception>
    /// <exception cref="Npgsql.PostgresException">A migration failed; the schema is as it was.</exception>
    /// <exception cref="InvalidOperationException">A model has changes that no migration holds.</exception>
    Task<TenantMigrationResult> MigrateAsync(TenantId tenant, CancellationToken ct = default);

    /// <summary>Migrates every active and suspended tenant; one that fails does not stop the others.</summary>
    /// <param name="options">How many at a time.</param>
    /// <param name="progress">Gets each tenant's result as it is done.</param>
    /// <param name="ct">
    /// Cancels: no further tenant is begun, those being migrated are rolled back, and
    /// <see cref="OperationCanceledException"/> is thrown. Run again to go on: tenants that are done cost one query.
    /// </param>
    /// <returns>A result per tenant, ordered by slug.</returns>
    /// <exception cref="InvalidOperationException">A model has changes that no migration holds.</exception>
    Task<IReadOnlyList<TenantMigrationResult>> MigrateAllAsync(
        MigrateAllOptions? options = null,
        IProgress<TenantMigrationResult>? progress = null,
        CancellationToken ct = default
    );
}
