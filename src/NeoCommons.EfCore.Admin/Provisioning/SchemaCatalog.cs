using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Reads what a schema holds, in a form in which two schemas can be compared.</summary>
/// <remarks>
/// The server prints the definitions while the search path is the schema alone: a name within it is printed without it,
/// and every other one with its schema. What the roles of tenants have been granted is left out, and so is the order of
/// dropped columns.
/// </remarks>
internal static class SchemaCatalog
{
    private const string Query = """
        WITH ns AS (SELECT oid, nspname, nspowner, nspacl FROM pg_catalog.pg_namespace WHERE nspname = $1),
        rel AS (SELECT c.* FROM pg_catalog.pg_class c JOIN ns ON c.relnamespace = ns.oid),
        fn AS (SELECT p.* FROM pg_catalog.pg_proc p JOIN ns ON p.pronamespace = ns.oid),
        typ AS (SELECT t.* FROM pg_catalog.pg_type t JOIN ns ON t.typnamespace = ns.oid WHERE t.typelem = 0
            AND (t.typrelid = 0 OR (SELECT c.relkind FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid) = 'c')),
        acl AS (
            SELECT 'schema' AS kind, '' AS name, nspowner AS owner, coalesce(nspacl, acldefault('n', nspowner)) AS items FROM ns
            UNION ALL SELECT 'relation', relname, relowner, coalesce(relacl, acldefault(
                CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)) FROM rel WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
            UNION ALL SELECT 'column', relname || '.' || attname, relowner, attacl
                FROM rel JOIN pg_catalog.pg_attribute ON attrelid = rel.oid WHERE attacl IS NOT NULL AND NOT attisdropped
            UNION ALL SELECT 'routine', proname || '(' || pg_get_function_identity_arguments(fn.oid) || ')', proowner,
                coalesce(proacl, acldefault('f', proowner)) FROM fn
            UNION ALL SELECT 'type', typname, typowner, coalesce(typacl, acldefault('T', typowner)) FROM typ)
        SELECT CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'composite type' ELSE 'relation' END AS kind, relname::text AS name,
            concat_ws(' ', relkind, relpersistence, reloptions::text, CASE WHEN relrowsecurity THEN 'row security' END,
                CASE WHEN relforcerowsecurity THEN 'forced' END, 'identity ' || relreplident::text, pg_get_partkeydef(oid),
                pg_get_expr(relpartbound, oid), CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END,
                CASE WHEN NOT relispopulated THEN 'not populated' END,
                'of ' || (SELECT string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno)
                    FROM pg_catalog.pg_inherits WHERE inhrelid = rel.oid)) AS definition
            FROM rel WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
        UNION ALL SELECT 'column', relname || '.' || attname, concat_ws(' ',
                row_number() OVER (PARTITION BY attrelid ORDER BY attnum), format_type(atttypid, atttypmod),
                CASE WHEN attnotnull THEN 'not null' END, 'identity ' || nullif(attidentity::text, ''),
                'generated ' || nullif(attgenerated::text, ''), 'default ' || pg_get_expr(adbin, adrelid),
                (SELECT 'collate ' || collation_for.c FROM (SELECT a.attcollation::regcollation::text AS c) collation_for
                    WHERE a.attcollation NOT IN (0, 100)), 'storage ' || attstorage::text, nullif(attcompression::text, ''), attoptions::text)
            FROM rel JOIN pg_catalog.pg_attribute a ON attrelid = rel.oid
                LEFT JOIN pg_catalog.pg_attrdef ON adrelid = attrelid AND adnum = attnum
            WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND attnum > 0 AND NOT attisdropped
        UNION ALL SELECT 'constraint', coalesce(conrelid::regclass::text || '.', contypid::regtype::text || '.') || conname,
                pg_get_constraintdef(c.oid) || CASE WHEN convalidated THEN '' ELSE ' not valid' END
            FROM pg_catalog.pg_constraint c JOIN ns ON connamespace = ns.oid WHERE contype NOT IN ('t', 'n')
        UNION ALL SELECT 'index', i.relname, concat_ws(' ', pg_get_indexdef(i.oid, 0, true),
                CASE WHEN NOT indisvalid THEN 'invalid' END, CASE WHEN indisclustered THEN 'clustered' END)
            FROM rel i JOIN pg_catalog.pg_index ON indexrelid = i.oid
        UNION ALL SELECT 'sequence', relname, concat_ws(' ', format_type(seqtypid, NULL), seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle,
                relpersistence, (SELECT deptype::text || refobjid::regclass::text || '.' || attname FROM pg_catalog.pg_depend
                    JOIN pg_catalog.pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
                    WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = rel.oid AND refclassid = 'pg_catalog.pg_class'::regclass AND deptype IN ('a', 'i')))
            FROM rel JOIN pg_catalog.pg_sequence ON seqrelid = rel.oid
        UNION ALL SELECT 'routine', proname || '(' || pg_get_function_identity_arguments(fn.oid) || ')', concat_ws(' ', prokind,
                pg_get_function_arguments(fn.oid), pg_get_function_result(fn.oid), lanname, provolatile, proisstrict, prosecdef, proleakproof,
                proparallel, procost, prorows, prosupport::text, (SELECT string_agg(CASE WHEN setting LIKE 'search\_path=%' THEN
                    (SELECT string_agg(CASE WHEN part IN (quote_ident($1), '"' || $1 || '"') THEN '$schema' ELSE part END, ', ' ORDER BY at)
                        FROM unnest(string_to_array(substr(setting, 13), ', ')) WITH ORDINALITY AS parts (part, at))
                    ELSE setting END, '; ') FROM unnest(proconfig) AS setting),
                coalesce(pg_get_function_sqlbody(fn.oid), prosrc), probin)
            FROM fn JOIN pg_catalog.pg_language l ON l.oid = prolang
        UNION ALL SELECT 'type', typname, concat_ws(' ', typtype, CASE typtype WHEN 'd' THEN concat_ws(' ', format_type(typbasetype, typtypmod),
                CASE WHEN typnotnull THEN 'not null' END, typdefault) END,
                (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_catalog.pg_enum WHERE enumtypid = typ.oid))
            FROM typ
        UNION ALL SELECT 'trigger', tgrelid::regclass::text || '.' || tgname, pg_get_triggerdef(t.oid, true) || ' ' || tgenabled::text
            FROM pg_catalog.pg_trigger t JOIN rel ON tgrelid = rel.oid WHERE NOT tgisinternal
        UNION ALL SELECT 'rule', ev_class::regclass::text || '.' || rulename, pg_get_ruledef(r.oid, true)
            FROM pg_catalog.pg_rewrite r JOIN rel ON ev_class = rel.oid WHERE rulename <> '_RETURN'
        UNION ALL SELECT 'policy', polrelid::regclass::text || '.' || polname, concat_ws(' ', polpermissive, polcmd, (SELECT string_agg(
                CASE r WHEN 0 THEN 'PUBLIC' ELSE r::regrole::text END, ', ' ORDER BY r) FROM unnest(polroles) AS r),
                'using ' || pg_get_expr(polqual, polrelid), 'check ' || pg_get_expr(polwithcheck, polrelid))
            FROM pg_catalog.pg_policy JOIN rel ON polrelid = rel.oid
        UNION ALL SELECT 'statistics', stxname, stxrelid::regclass::text || ' ' || array_to_string(stxkind, '') || ' ' || pg_get_statisticsobjdef_columns(s.oid)
            FROM pg_catalog.pg_statistic_ext s JOIN ns ON stxnamespace = ns.oid
        UNION ALL SELECT 'comment', 'relation ' || relname || coalesce('.' || (SELECT attname FROM pg_catalog.pg_attribute
                WHERE attrelid = rel.oid AND attnum = nullif(objsubid, 0)), ''), description
            FROM rel JOIN pg_catalog.pg_description ON classoid = 'pg_catalog.pg_class'::regclass AND objoid = rel.oid
        UNION ALL SELECT 'comment', 'routine ' || proname || '(' || pg_get_function_identity_arguments(fn.oid) || ')', description
            FROM fn JOIN pg_catalog.pg_description ON classoid = 'pg_catalog.pg_proc'::regclass AND objoid = fn.oid
        UNION ALL SELECT 'comment', 'type ' || typname, description
            FROM typ JOIN pg_catalog.pg_description ON classoid = 'pg_catalog.pg_type'::regclass AND objoid = typ.oid
        UNION ALL SELECT 'comment', 'constraint ' || conrelid::regclass::text || '.' || conname, description
            FROM pg_catalog.pg_constraint c JOIN ns ON connamespace = ns.oid
                JOIN pg_catalog.pg_description ON classoid = 'pg_catalog.pg_constraint'::regclass AND objoid = c.oid
        UNION ALL SELECT 'comment', 'trigger ' || tgrelid::regclass::text || '.' || tgname, description
            FROM pg_catalog.pg_trigger t JOIN rel ON tgrelid = rel.oid
                JOIN pg_catalog.pg_description ON classoid = 'pg_catalog.pg_trigger'::regclass AND objoid = t.oid
        UNION ALL SELECT 'comment', 'policy ' || polrelid::regclass::text || '.' || polname, description
            FROM pg_catalog.pg_policy p JOIN rel ON polrelid = rel.oid
                JOIN pg_catalog.pg_description ON classoid = 'pg_catalog.pg_policy'::regclass AND objoid = p.oid
        UNION ALL SELECT 'grant', kind || ' ' || name, string_agg(concat_ws(' ', coalesce(rolname, 'PUBLIC'), privilege_type,
                CASE WHEN is_grantable THEN '*' END), ', ' ORDER BY rolname, privilege_type)
            FROM acl CROSS JOIN LATERAL aclexplode(items) AS a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
            WHERE a.grantee <> owner AND NOT coalesce(rolname ~ '^neocommons_tenant_[0-9a-f]{32}$', false)
            GROUP BY kind, name
        UNION ALL SELECT 'other', o.type || ' ' || coalesce(o.name, o.identity), 'not looked into'
            FROM pg_catalog.pg_depend d JOIN ns ON d.refobjid = ns.oid AND d.refclassid = 'pg_catalog.pg_namespace'::regclass
                CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) o
            WHERE d.classid NOT IN ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_type'::regclass, 'pg_catalog.pg_constraint'::regclass,
                'pg_catalog.pg_statistic_ext'::regclass, 'pg_catalog.pg_default_acl'::regclass)
        ORDER BY 1, 2, 3
        """;

    /// <summary>Reads the objects, ordered; within the caller's transaction, whose search path is then the schema's.</summary>
    public static async Task<IReadOnlyList<SchemaObject>> ReadAsync(
        NpgsqlConnection connection,
        SchemaName schema,
        CancellationToken ct
    )
    {
        await SetPathAsync(connection, schema, ct).ConfigureAwait(false);
        var command = new NpgsqlCommand(Query, connection) { Parameters = { new() { Value = schema.Value } } };
        await using var _ = command.ConfigureAwait(false);
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        var found = new List<SchemaObject>();
        while (await reader.ReadAsync(ct).ConfigureAwait(false))
        {
            found.Add(new SchemaObject(reader.GetString(0), reader.GetString(1), reader.GetString(2)));
        }

        return found;
    }

    /// <summary>Makes the schema alone the search path, until the transaction ends.</summary>
    internal static Task SetPathAsync(NpgsqlConnection connection, SchemaName schema, CancellationToken ct) =>
        connection.ExecuteAsync($"SET LOCAL search_path = {schema.Quoted}, pg_temp", ct);
}
