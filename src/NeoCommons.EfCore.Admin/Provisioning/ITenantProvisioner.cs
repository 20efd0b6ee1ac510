namespace NeoCommons.EfCore.Admin;

/// <summary>Creates tenants.</summary>
/// <remarks>Thread-safe, a singleton.</remarks>
public interface ITenantProvisioner
{
    /// <summary>Creates a tenant: its row, its schema, and the tables of all registered tenant contexts.</summary>
    /// <remarks>
    /// <para>
    /// Where the tenant's connection leads to the admin database itself, with the same role, all of it is one
    /// transaction. Elsewhere the row is written first, as <see cref="TenantStatus.Provisioning"/>, then the schema in
    /// one transaction, then the row becomes active; a failure in between removes the row again.
    /// </para>
    /// <para>
    /// If the process dies in between, the row stays <see cref="TenantStatus.Provisioning"/> and nobody can use the
    /// tenant: call this again with the same slug and connection, and it goes on where it stopped. Name and region are
    /// then those of the last call; what is in the schema must carry the tenant's id in the schema's comment, which is
    /// written when the schema is made.
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
    /// or the connection is another tenant's own.
    /// </exception>
    /// <exception cref="ConnectionNotFoundException">The connection is not registered.</exception>
    /// <exception cref="ConnectionUnavailableException">The connection cannot be used.</exception>
    /// <exception cref="SecretDecryptionException">The connection's password cannot be decrypted.</exception>
    /// <exception cref="InvalidOperationException">The migrations are refused: see <see cref="ITenantMigrator"/>.</exception>
    /// <exception cref="Npgsql.PostgresException">A migration failed; nothing is left of the tenant.</exception>
    Task<Tenant> CreateAsync(NewTenant tenant, CancellationToken ct = default);
}
