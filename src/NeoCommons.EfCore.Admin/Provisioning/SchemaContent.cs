using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>What is known of a schema before it is made a tenant's.</summary>
/// <param name="Exists">Whether it exists.</param>
/// <param name="IsOwned">Whether our role owns it.</param>
/// <param name="Occupant">The name of an object in it, if there is one.</param>
/// <param name="Comment">Its comment, where the creation notes whose schema it is.</param>
internal readonly record struct SchemaContent(bool Exists, bool IsOwned, string? Occupant, string? Comment)
{
    public static async Task<SchemaContent> ReadAsync(
        NpgsqlConnection connection,
        SchemaName schema,
        CancellationToken ct
    )
    {
        // Looked up in pg_depend, which has an index by schema; pg_class, pg_proc and pg_type have none, and a row for each table of
        // each tenant. What nobody can be told of by name still occupies it.
        var command = new NpgsqlCommand(
            """
            SELECT n.oid IS NOT NULL, (
                SELECT coalesce(
                    (SELECT c.relname::text FROM pg_catalog.pg_class c WHERE d.classid = 'pg_catalog.pg_class'::regclass AND c.oid = d.objid),
                    (SELECT p.proname::text FROM pg_catalog.pg_proc p WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = d.objid),
                    (SELECT t.typname::text FROM pg_catalog.pg_type t WHERE d.classid = 'pg_catalog.pg_type'::regclass AND t.oid = d.objid),
                    pg_catalog.pg_describe_object(d.classid, d.objid, 0), d.classid::text || ' ' || d.objid::text)
                FROM pg_catalog.pg_depend d WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = n.oid
                    AND d.classid <> 'pg_catalog.pg_default_acl'::regclass
                    AND d.classid IS DISTINCT FROM to_regclass('pg_catalog.pg_publication_namespace')::oid LIMIT 1),
                obj_description(n.oid, 'pg_namespace'),
                coalesce(pg_has_role(n.nspowner, 'USAGE'), false)
            FROM (SELECT 1) one LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = $1
            """,
            connection
        )
        {
            Parameters = { new() { Value = schema.Value } },
        };
        await using var _ = command.ConfigureAwait(false);
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        await reader.ReadAsync(ct).ConfigureAwait(false);
        return new SchemaContent(
            reader.GetBoolean(0),
            reader.GetBoolean(3),
            await reader.IsDBNullAsync(1, ct).ConfigureAwait(false) ? null : reader.GetString(1),
            await reader.IsDBNullAsync(2, ct).ConfigureAwait(false) ? null : reader.GetString(2)
        );
    }
}
