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

    /// <summary>Finds what a run over all active and suspended tenants would do; changes nothing.</summary>
    /// <remarks>One query per database, whatever the number of its tenants.</remarks>
    /// <exception cref="InvalidOperationException">As for one tenant.</exception>
    /// <exception cref="ConnectionUnavailableException">
    /// The admin database cannot be used. A tenant's database that cannot be is told in the plan.
    /// </exception>
    Task<FleetPlan> PlanAsync(CancellationToken ct = default);

    /// <summary>
    /// Migrates every active and suspended tenant that has something to do; one that fails does not stop the others.
    /// </summary>
    /// <remarks>
    /// The run is kept in <c>admin.migration_runs</c>, and each of its tenants in <c>admin.tenant_migrations</c>. Whoever
    /// calls this while a run to the same target goes on, in this process or another, shares its work; a run whose
    /// processes have died is gone on with. Where there is nothing to do, none is begun.
    /// </remarks>
    /// <param name="options">How many at a time, in which order, and when to stop.</param>
    /// <param name="progress">Gets each tenant's result as it is done, and once a second how the run stands.</param>
    /// <param name="ct">
    /// Cancels: no further tenant is begun, those being migrated are rolled back, and
    /// <see cref="OperationCanceledException"/> is thrown. Call again to go on.
    /// </param>
    /// <returns>How the run stands at the end.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    /// <exception cref="InvalidOperationException">As for one tenant; no tenant is touched.</exception>
    Task<MigrationRun> MigrateAllAsync(
        MigrateAllOptions? options = null,
        IProgress<MigrationProgress>? progress = null,
        CancellationToken ct = default
    );

    /// <summary>How a run stands, whichever process works at it.</summary>
    /// <param name="run">The run; null: the newest.</param>
    /// <param name="ct">Cancels.</param>
    /// <returns>The run, or null where there is none.</returns>
    Task<MigrationRun?> GetStatusAsync(Guid? run = null, CancellationToken ct = default);

    /// <summary>The pending migrations of a tenant as one SQL script, to be read, or executed with psql.</summary>
    /// <remarks>It checks that it runs where it should, and records what it does, as the migrator itself would.</remarks>
    /// <returns>The script; a comment where nothing is pending.</returns>
    /// <exception cref="TenantNotFoundException">There is no such tenant.</exception>
    Task<string> GenerateScriptAsync(TenantId tenant, CancellationToken ct = default);
}
