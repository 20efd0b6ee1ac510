namespace NeoCommons.EfCore.Admin;

/// <summary>Creates tenants, and takes them through their life.</summary>
/// <remarks>
/// <para>
/// Thread-safe, a singleton. Every change is written to <c>admin.tenant_events</c> in the transaction that makes it, with
/// what <see cref="ILifecycleActor"/> says; handlers take part: <see cref="ITenantLifecycleHandler"/>. To repeat what is
/// done already changes nothing and returns the tenant.
/// </para>
/// <para>
/// Where a schema gets another name, nothing is migrated meanwhile. Where registry and schema lie in different databases,
/// the schema's commits first; if the process dies in between, the tenant's contexts find no tables, and repeating the
/// command finishes it: the schema's comment says whose it is. A name that a tenant's schema has had never becomes
/// another tenant's: who has not heard of the change finds nothing there, and never somebody else's data.
/// </para>
/// </remarks>
public interface ITenantProvisioner
{
    /// <summary>Creates a tenant: its row, its schema, and the tables of all registered tenant contexts.</summary>
    /// <remarks>
    /// <para>
    /// Where the tenant's connection leads to the admin database itself, with the same role, and nothing is seeded, all of
    /// it is one transaction. Elsewhere the row is written first, as <see cref="TenantStatus.Provisioning"/>, then the schema in
    /// one transaction, then each <see cref="ITenantSeeder"/> is called, then the row becomes active; a failure in between
    /// takes all of it back.
    /// </para>
    /// <para>
    /// If the process dies in between, the row stays <see cref="TenantStatus.Provisioning"/> and nobody can use the
    /// tenant: call this again with the same slug and connection, and it goes on where it stopped. Name and region are
    /// then those of the last call; what is in the schema must carry the tenant's id in the schema's comment, which is
    /// written when the schema is made.
    /// </para>
    /// <para>
    /// Who has lost the answer repeats the order with the id that it gave: where the tenant is active, and slug, type and
    /// connection are the same, it is returned as it is. Without an id, the slug is taken.
    /// </para>
    /// <para>
    /// A caller's <see cref="System.Transactions.TransactionScope"/> does not include any of it: a tenant that was created
    /// stays created when the scope is abandoned.
    /// </para>
    /// </remarks>
    /// <returns>The tenant, active.</returns>
    /// <exception cref="ArgumentException">The name is empty, too long, or holds a NUL.</exception>
    /// <exception cref="InvalidSchemaNameException">The slug is not valid, or would make a schema that is not a tenant's.</exception>
    /// <exception cref="TenantConflictException">
    /// The slug is taken, another process is creating it, it was begun with another id, the schema holds objects already,
    /// the connection is another tenant's own or full, or no connection has room.
    /// </exception>
    /// <exception cref="ConnectionNotFoundException">The connection is not registered.</exception>
    /// <exception cref="ConnectionUnavailableException">The connection cannot be used.</exception>
    /// <exception cref="SecretDecryptionException">The connection's password cannot be decrypted.</exception>
    /// <exception cref="InvalidOperationException">The migrations are refused: see <see cref="ITenantMigrator"/>.</exception>
    /// <exception cref="Npgsql.PostgresException">A migration failed; nothing is left of the tenant.</exception>
    Task<Tenant> CreateAsync(NewTenant tenant, CancellationToken ct = default);

    /// <summary>Makes the schema that tenants are copied from, or migrates it to the newest migration.</summary>
    /// <remarks>
    /// It holds the tables of the contexts that are for tenants of every type; those of the contexts of its own type a
    /// tenant gets from their migrations.
    /// </remarks>
    /// <param name="connectionName">The connection; each database has a template of its own.</param>
    /// <param name="ct">Cancels.</param>
    /// <exception cref="ConnectionNotFoundException">The connection is not registered.</exception>
    /// <exception cref="ConnectionUnavailableException">The connection cannot be used.</exception>
    /// <exception cref="InvalidOperationException">The migrations are refused: see <see cref="ITenantMigrator"/>.</exception>
    Task RefreshTemplateAsync(string connectionName, CancellationToken ct = default);

    /// <summary>Switches a tenant off: its contexts are refused in every process as soon as that hears of it.</summary>
    /// <remarks>Contexts that are open already go on. It waits for nobody, a running migration included.</remarks>
    /// <param name="tenant">The tenant.</param>
    /// <param name="reason">Why, for the audit.</param>
    /// <param name="ct">Cancels.</param>
    /// <exception cref="TenantNotFoundException">There is no such tenant.</exception>
    /// <exception cref="TenantStateException">The tenant is being provisioned or archived.</exception>
    Task<Tenant> SuspendAsync(TenantId tenant, string? reason = null, CancellationToken ct = default);

    /// <summary>Switches a suspended tenant on again.</summary>
    /// <exception cref="TenantNotFoundException">There is no such tenant.</exception>
    /// <exception cref="TenantStateException">The tenant is being provisioned or archived.</exception>
    Task<Tenant> ResumeAsync(TenantId tenant, CancellationToken ct = default);

    /// <summary>Changes slug and name, and the schema's name where that is asked for.</summary>
    /// <exception cref="TenantNotFoundException">There is no such tenant.</exception>
    /// <exception cref="TenantStateException">The tenant is being provisioned or archived, or changed meanwhile.</exception>
    /// <exception cref="TenantConflictException">
    /// The slug is taken, a schema of the new name exists, or somebody else is at the tenant.
    /// </exception>
    /// <exception cref="InvalidSchemaNameException">The slug is not valid.</exception>
    /// <exception cref="ArgumentException">The name is empty, too long, or holds a NUL.</exception>
    /// <exception cref="TenantIsolationException">The schema is not there, or is another tenant's.</exception>
    /// <exception cref="ConnectionUnavailableException">The tenant's database cannot be used.</exception>
    Task<Tenant> RenameAsync(TenantId tenant, TenantRename rename, CancellationToken ct = default);

    /// <summary>Says what a tenant may take; every process obeys with the next context as soon as it hears of it.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="limits">All of its limits: what is null here is the application's default from now on.</param>
    /// <param name="ct">Cancels.</param>
    /// <exception cref="ArgumentException">A limit is out of its range.</exception>
    /// <exception cref="TenantNotFoundException">There is no such tenant.</exception>
    /// <exception cref="TenantStateException">The tenant is being provisioned or archived.</exception>
    Task<Tenant> LimitAsync(TenantId tenant, TenantLimits limits, CancellationToken ct = default);

    /// <summary>Puts a tenant away: its schema is renamed to <c>archived_...</c>, and kept.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="retention">How long it is kept at least; null: <see cref="TenantLifecycleOptions.Retention"/>.</param>
    /// <param name="reason">Why, for the audit.</param>
    /// <param name="ct">Cancels.</param>
    /// <exception cref="ArgumentOutOfRangeException">The time is negative.</exception>
    /// <inheritdoc cref="RenameAsync"/>
    Task<Tenant> ArchiveAsync(
        TenantId tenant,
        TimeSpan? retention = null,
        string? reason = null,
        CancellationToken ct = default
    );

    /// <summary>Takes a tenant back from the archive, with its schema's name and its status of before.</summary>
    /// <exception cref="TenantStateException">Its deletion has begun, or it is being provisioned.</exception>
    /// <inheritdoc cref="RenameAsync"/>
    Task<Tenant> RestoreAsync(TenantId tenant, CancellationToken ct = default);

    /// <summary>Removes an archived tenant for good: tables, schema, role and row. Its audit stays.</summary>
    /// <remarks>
    /// Tables are dropped in batches, so a deletion that was interrupted leaves some of them: repeat it to finish. From its
    /// beginning on the tenant cannot be restored.
    /// </remarks>
    /// <exception cref="ArgumentException">The slug that was confirmed is not the tenant's.</exception>
    /// <exception cref="TenantNotFoundException">There is no such tenant.</exception>
    /// <exception cref="TenantStateException">It is not archived, or is to be kept still.</exception>
    /// <exception cref="TenantConflictException">Somebody else is at the tenant.</exception>
    /// <exception cref="TenantIsolationException">The schema is another tenant's.</exception>
    /// <exception cref="ConnectionUnavailableException">The tenant's database cannot be used.</exception>
    /// <exception cref="InvalidOperationException">
    /// It could not be exported, or objects of other schemas depend on it; nothing was deleted.
    /// </exception>
    Task DeleteAsync(TenantId tenant, TenantDeletion deletion, CancellationToken ct = default);
}
