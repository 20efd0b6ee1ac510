using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>What lies in other schemas and would go with a schema: views, foreign keys, defaults, functions.</summary>
internal static class SchemaDependants
{
    // A view depends by its rule, a default by itself; either is named by the table or view that it belongs to.
    private const string Query = """
        WITH ns AS (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1),
        own AS (
            SELECT 'pg_catalog.pg_class'::regclass::oid AS classid, c.oid AS objid FROM pg_catalog.pg_class c JOIN ns ON c.relnamespace = ns.oid
            UNION SELECT 'pg_catalog.pg_proc'::regclass, p.oid FROM pg_catalog.pg_proc p JOIN ns ON p.pronamespace = ns.oid
            UNION SELECT 'pg_catalog.pg_type'::regclass, t.oid FROM pg_catalog.pg_type t JOIN ns ON t.typnamespace = ns.oid
            UNION SELECT d.classid, d.objid FROM pg_catalog.pg_depend d JOIN ns
                ON d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = ns.oid),
        dependant AS (
            SELECT DISTINCT d.classid, d.objid, coalesce(v.ev_class, a.adrelid, t.tgrelid, p.polrelid) AS relation
            FROM own JOIN pg_catalog.pg_depend d ON d.refclassid = own.classid AND d.refobjid = own.objid
                LEFT JOIN pg_catalog.pg_rewrite v ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND v.oid = d.objid
                LEFT JOIN pg_catalog.pg_attrdef a ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND a.oid = d.objid
                LEFT JOIN pg_catalog.pg_trigger t ON d.classid = 'pg_catalog.pg_trigger'::regclass AND t.oid = d.objid
                LEFT JOIN pg_catalog.pg_policy p ON d.classid = 'pg_catalog.pg_policy'::regclass AND p.oid = d.objid
            WHERE d.deptype IN ('n', 'a')),
        named AS (
            SELECT CASE WHEN d.relation IS NULL THEN pg_describe_object(d.classid, d.objid, 0)
                    ELSE pg_describe_object('pg_catalog.pg_class'::regclass, d.relation, 0) END AS name,
                coalesce(c.relnamespace, k.connamespace, f.pronamespace, t.typnamespace) AS namespace
            FROM dependant d
                LEFT JOIN pg_catalog.pg_class c ON c.oid = coalesce(d.relation, CASE d.classid WHEN 'pg_catalog.pg_class'::regclass THEN d.objid END)
                LEFT JOIN pg_catalog.pg_constraint k ON d.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = d.objid
                LEFT JOIN pg_catalog.pg_proc f ON d.classid = 'pg_catalog.pg_proc'::regclass AND f.oid = d.objid
                LEFT JOIN pg_catalog.pg_type t ON d.classid = 'pg_catalog.pg_type'::regclass AND t.oid = d.objid)
        SELECT DISTINCT name FROM named CROSS JOIN ns
        WHERE namespace <> ns.oid AND namespace <> 'pg_toast'::regnamespace ORDER BY name
        """;

    /// <summary>Names them, as the server describes objects.</summary>
    public static async Task<IReadOnlyList<string>> FindAsync(
        NpgsqlConnection connection,
        SchemaName schema,
        CancellationToken ct
    )
    {
        var command = new NpgsqlCommand(Query, connection) { Parameters = { new() { Value = schema.Value } } };
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
