using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Drops a schema that may hold more than one transaction can lock.</summary>
internal static class SchemaDrop
{
    // Partitions before what they are parts of. What belongs to a column goes with its table, what to an extension with that.
    private const string Next = """
        SELECT format('DROP %s IF EXISTS %I.%I CASCADE',
            CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE'
                WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname)
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend d
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 AND (d.deptype = 'e'
                OR (c.relkind = 'S' AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass)))
        ORDER BY c.relispartition DESC, c.oid LIMIT $2
        """;

    /// <summary>Drops tables, views and sequences in transactions of their own.</summary>
    /// <param name="connection">A session of the schema's owner.</param>
    /// <param name="schema">The schema; it may be gone already.</param>
    /// <param name="batch">How many at a time.</param>
    /// <param name="lockSchema">Takes the schema's lock for one transaction.</param>
    /// <param name="ct">Cancels.</param>
    public static async Task DropRelationsAsync(
        NpgsqlConnection connection,
        SchemaName schema,
        int batch,
        Func<Task> lockSchema,
        CancellationToken ct
    )
    {
        while (true)
        {
            var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
            await using var _ = transaction.ConfigureAwait(false);
            await lockSchema().ConfigureAwait(false);
            var statements = await FindAsync(connection, schema, batch, ct).ConfigureAwait(false);
            if (statements.Count == 0)
            {
                return;
            }

            await connection.ExecuteAllAsync(statements, ct, timeout: 0).ConfigureAwait(false);
            await transaction.CommitAsync(ct).ConfigureAwait(false);
        }
    }

    /// <summary>Drops the schema with what is left in it, in the caller's transaction.</summary>
    public static Task DropAsync(NpgsqlConnection connection, SchemaName schema, CancellationToken ct) =>
        connection.ExecuteAsync($"DROP SCHEMA IF EXISTS {schema.Quoted} CASCADE", ct, timeout: 0);

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

    private static async Task<List<string>> FindAsync(
        NpgsqlConnection connection,
        SchemaName schema,
        int limit,
        CancellationToken ct
    )
    {
        var command = new NpgsqlCommand(Next, connection)
        {
            Parameters =
            {
                new() { Value = schema.Value },
                new() { Value = limit },
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
