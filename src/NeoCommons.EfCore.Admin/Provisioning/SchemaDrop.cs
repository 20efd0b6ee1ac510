using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Drops a tenant's schema, which may hold more than one transaction can lock.</summary>
/// <remarks>
/// Each transaction looks again once it has the schema's lock: what has become somebody else's meanwhile stays, and so
/// does what others have made depend on the schema, unless that is to go too.
/// </remarks>
/// <param name="connection">A session of the schema's owner.</param>
/// <param name="schema">The schema; it may be gone already.</param>
/// <param name="tenant">Whose it is; null: nobody's, as one that waits for a tenant.</param>
/// <param name="batch">How many relations are dropped in a transaction.</param>
/// <param name="places">Locks the schema.</param>
/// <param name="withDependants">Whether objects of other schemas that depend on it are dropped too.</param>
internal sealed class SchemaDrop(
    NpgsqlConnection connection,
    SchemaName schema,
    TenantId? tenant,
    int batch,
    TenantPlaces places,
    bool withDependants = false
)
{
    // Partitions before what they are parts of. What belongs to a column goes with its table, what to an extension with that.
    private const string Next = """
        SELECT format('DROP %s IF EXISTS %I.%I CASCADE',
            CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE'
                WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname)
        FROM pg_catalog.pg_namespace n
            JOIN pg_catalog.pg_depend i ON i.refclassid = 'pg_catalog.pg_namespace'::regclass AND i.refobjid = n.oid
            JOIN pg_catalog.pg_class c ON i.classid = 'pg_catalog.pg_class'::regclass AND c.oid = i.objid
        WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend d
            WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 AND (d.deptype = 'e'
                OR (c.relkind = 'S' AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_catalog.pg_class'::regclass)))
        ORDER BY c.relispartition DESC, c.oid LIMIT $2
        """;

    /// <summary>Drops tables, views and sequences in transactions of their own.</summary>
    /// <exception cref="TenantIsolationException">The schema is another tenant's.</exception>
    /// <exception cref="InvalidOperationException">Objects of other schemas depend on it.</exception>
    public async Task DropRelationsAsync(CancellationToken ct)
    {
        while (true)
        {
            var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
            await using var _ = transaction.ConfigureAwait(false);
            await LockAsync(ct).ConfigureAwait(false);
            var statements = await FindAsync(ct).ConfigureAwait(false);
            if (statements.Count == 0)
            {
                return;
            }

            await ThrowIfDependedOnAsync(ct).ConfigureAwait(false);
            await connection.ExecuteAllAsync(statements, ct, timeout: 0).ConfigureAwait(false);
            await transaction.CommitAsync(ct).ConfigureAwait(false);
        }
    }

    /// <summary>Waits for the schema's lock, in the caller's transaction, and looks whose the schema is now.</summary>
    /// <exception cref="TenantIsolationException">It is another tenant's.</exception>
    public async Task LockAsync(CancellationToken ct)
    {
        await places.LockSchemasAsync(connection, [schema], ct).ConfigureAwait(false);
        var found = await SchemaContent.ReadAsync(connection, schema, ct).ConfigureAwait(false);
        if (
            found.Exists
            && SchemaMark.IsAny(found.Comment)
            && (tenant is not { } id || !SchemaMark.Is(found.Comment, id.Value))
        )
        {
            throw new TenantIsolationException(
                $"Schema '{schema}' in database '{connection.Database}' has become another tenant's ('{found.Comment}'), so no "
                    + "more of it was dropped.",
                tenant
            );
        }
    }

    /// <summary>Drops the schema with what is left in it, in the caller's transaction.</summary>
    /// <exception cref="InvalidOperationException">Objects of other schemas depend on it.</exception>
    public async Task DropAsync(CancellationToken ct)
    {
        await ThrowIfDependedOnAsync(ct).ConfigureAwait(false);
        await connection
            .ExecuteAsync($"DROP SCHEMA IF EXISTS {schema.Quoted} CASCADE", ct, timeout: 0)
            .ConfigureAwait(false);
    }

    /// <exception cref="InvalidOperationException">Objects of other schemas depend on it.</exception>
    public async Task ThrowIfDependedOnAsync(CancellationToken ct)
    {
        const int Shown = 10;
        if (withDependants)
        {
            return;
        }

        var dependants = await SchemaDependants.FindAsync(connection, schema, ct).ConfigureAwait(false);
        if (dependants.Count > 0)
        {
            throw new InvalidOperationException(
                $"Objects outside of schema '{schema}' in database '{connection.Database}' depend on it and would be dropped with "
                    + $"it: {string.Join(", ", dependants.Take(Shown))}{(dependants.Count > Shown ? $" and {dependants.Count - Shown} more" : "")}. "
                    + "Drop them or point them elsewhere, or delete the tenant with --drop-dependants "
                    + "(TenantDeletion.DropDependants)."
            );
        }
    }

    /// <summary>Drops the tenant's role in the caller's transaction; what went wrong, if it could not be.</summary>
    public static async Task<PostgresException?> TryDropRoleAsync(
        NpgsqlConnection connection,
        TenantId tenant,
        CancellationToken ct
    )
    {
        await connection.ExecuteAsync("SAVEPOINT neocommons_role", ct).ConfigureAwait(false);
        try
        {
            // The name needs no quotes: see TenantRole.
            await connection.ExecuteAsync("DROP ROLE IF EXISTS " + TenantRole.Of(tenant), ct).ConfigureAwait(false);
            return null;
        }
        catch (PostgresException e)
            when (e.SqlState
                    is PostgresErrorCodes.DependentObjectsStillExist
                        or PostgresErrorCodes.InsufficientPrivilege
                        or PostgresErrorCodes.ObjectInUse
            )
        {
            await connection.ExecuteAsync("ROLLBACK TO SAVEPOINT neocommons_role", ct).ConfigureAwait(false);
            return e;
        }
    }

    private async Task<List<string>> FindAsync(CancellationToken ct)
    {
        var command = new NpgsqlCommand(Next, connection)
        {
            Parameters =
            {
                new() { Value = schema.Value },
                new() { Value = batch },
            },
        };
        await using var _ = command.ConfigureAwait(false);
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        var found = new List<string>();
        while (await reader.ReadAsync(ct).ConfigureAwait(false))
        {
            found.Add(reader.GetString(0));
        }

        return found;
    }
}
