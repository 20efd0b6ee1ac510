using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>A schema of a database, as the doctor sees it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="IsMarked">Whether its comment says that it is a tenant's.</param>
/// <param name="Owner">The tenant that its comment names, or null.</param>
/// <param name="IsEmpty">Whether nothing is in it.</param>
/// <param name="Foreign">What in it belongs to a role that our user is not a member of; null: nothing.</param>
internal sealed record SchemaListing(string Name, bool IsMarked, TenantId? Owner, bool IsEmpty, string? Foreign)
{
    /// <summary>Lists all schemas but the system's: one query.</summary>
    public static async Task<IReadOnlyDictionary<string, SchemaListing>> ReadAsync(
        NpgsqlConnection connection,
        CancellationToken ct
    )
    {
        var command = new NpgsqlCommand(
            """
            SELECT n.nspname::text, obj_description(n.oid, 'pg_namespace'), NOT (
                    EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace = n.oid)
                    OR EXISTS (SELECT FROM pg_catalog.pg_proc WHERE pronamespace = n.oid)
                    OR EXISTS (SELECT FROM pg_catalog.pg_type WHERE typnamespace = n.oid)),
                CASE WHEN NOT pg_has_role(n.nspowner, 'USAGE') THEN format('the schema itself belongs to %I', n.nspowner::regrole) ELSE (
                    SELECT format('%s belongs to %I', what, owner::regrole) FROM (
                        SELECT quote_ident(relname) AS what, relowner AS owner FROM pg_catalog.pg_class
                        WHERE relnamespace = n.oid AND relkind <> 'c'
                        UNION ALL SELECT 'routine ' || quote_ident(proname), proowner FROM pg_catalog.pg_proc WHERE pronamespace = n.oid
                        UNION ALL SELECT 'type ' || quote_ident(typname), typowner FROM pg_catalog.pg_type
                        WHERE typnamespace = n.oid AND typelem = 0
                            AND (typrelid = 0 OR (SELECT relkind FROM pg_catalog.pg_class c WHERE c.oid = typrelid) = 'c')) AS things
                    WHERE NOT pg_has_role(owner, 'USAGE') ORDER BY what LIMIT 1) END
            FROM pg_catalog.pg_namespace n WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
            """,
            connection
        );
        await using var _ = command.ConfigureAwait(false);
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        var found = new Dictionary<string, SchemaListing>(StringComparer.Ordinal);
        while (await reader.ReadAsync(ct).ConfigureAwait(false))
        {
            var name = reader.GetString(0);
            var comment = reader.GetValue(1) as string;
            found[name] = new SchemaListing(
                name,
                SchemaMark.IsAny(comment),
                SchemaMark.Read(comment),
                reader.GetBoolean(2),
                reader.GetValue(3) as string
            );
        }

        return found;
    }
}
