namespace NeoCommons.EfCore.Admin;

/// <summary>What the server composes to make a schema's objects anew: names within the schema stand there without it.</summary>
/// <remarks>
/// Takes the schema as $1, its copy as $2, the names of the tables whose rows are copied as $3 (null: all). Gives
/// statements, by stage and by the order in which they were made: what depends on something is younger, as a rule, and
/// where it is not, the copy fails and nothing is left of it.
/// </remarks>
internal static class SchemaCopyStatements
{
    public const string Query = """
        WITH ns AS (SELECT oid, nspname, nspowner, nspacl FROM pg_catalog.pg_namespace WHERE nspname = $1),
        rel AS (SELECT c.* FROM pg_catalog.pg_class c JOIN ns ON c.relnamespace = ns.oid),
        fn AS (SELECT p.*, pg_get_functiondef(p.oid) AS def, format('%I.', ns.nspname) AS qualifier,
                format('%I(%s)', p.proname, pg_get_function_identity_arguments(p.oid)) AS signature,
                CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS word
            FROM pg_catalog.pg_proc p JOIN ns ON p.pronamespace = ns.oid WHERE p.prokind IN ('f', 'p', 'w')),
        col AS (SELECT rel.relname, rel.relkind, a.*, pg_get_expr(d.adbin, d.adrelid) AS expression
            FROM rel JOIN pg_catalog.pg_attribute a ON a.attrelid = rel.oid
                LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE a.attnum > 0 AND NOT a.attisdropped AND rel.relkind IN ('r', 'c')),
        seq AS (SELECT rel.*, s.*, d.deptype, d.refobjid, d.refobjsubid
            FROM rel JOIN pg_catalog.pg_sequence s ON s.seqrelid = rel.oid
                LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = rel.oid
                    AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')),
        typ AS (SELECT t.* FROM pg_catalog.pg_type t JOIN ns ON t.typnamespace = ns.oid WHERE t.typtype IN ('e', 'd')),
        acl AS (
            SELECT 'SCHEMA' AS kind, format('%I', $2) AS name, '' AS columns, nspowner AS owner, nspacl AS items, acldefault('n', nspowner) AS usual FROM ns
            UNION ALL SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, format('%I', relname), '', relowner, relacl,
                acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner) FROM rel WHERE relkind IN ('r', 'v', 'm', 'S')
            UNION ALL SELECT 'TABLE', format('%I', relname), format(' (%I)', attname), relowner, attacl, '{}'
                FROM rel JOIN pg_catalog.pg_attribute ON attrelid = rel.oid WHERE attacl IS NOT NULL AND NOT attisdropped
            UNION ALL SELECT word, signature, '', proowner, proacl, acldefault('f', proowner) FROM fn
            UNION ALL SELECT 'TYPE', format('%I', typname), '', typowner, typacl, acldefault('T', typowner) FROM typ)
        SELECT 10 AS stage, oid::bigint AS made, 0 AS part, CASE typtype
            WHEN 'e' THEN format('CREATE TYPE %I AS ENUM (%s)', typname, (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
                FROM pg_catalog.pg_enum WHERE enumtypid = typ.oid))
            ELSE concat_ws(' ', format('CREATE DOMAIN %I AS %s', typname, format_type(typbasetype, typtypmod)), 'DEFAULT ' || typdefault,
                CASE WHEN typnotnull THEN 'NOT NULL' END, (SELECT string_agg(format('CONSTRAINT %I %s', conname, pg_get_constraintdef(c.oid)), ' ')
                FROM pg_catalog.pg_constraint c WHERE contypid = typ.oid AND contype = 'c')) END AS sql FROM typ
        UNION ALL SELECT 10, oid, 0, format('CREATE TYPE %I AS (%s)', relname, (SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)),
                ', ' ORDER BY attnum) FROM col WHERE attrelid = rel.oid)) FROM rel WHERE relkind = 'c'
        UNION ALL SELECT 20, oid, 0, format('CREATE SEQUENCE %I AS %s START %s INCREMENT %s MINVALUE %s MAXVALUE %s CACHE %s %s', relname,
                format_type(seqtypid, NULL), seqstart, seqincrement, seqmin, seqmax, seqcache, CASE WHEN seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)
            FROM seq WHERE deptype IS DISTINCT FROM 'i'
        UNION ALL SELECT 30, oid, 0, format('CREATE %sTABLE %I (%s)%s', CASE relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END, relname,
                (SELECT string_agg(concat_ws(' ', format('%I %s', attname, format_type(atttypid, atttypmod)),
                    CASE WHEN attcompression <> '' THEN 'COMPRESSION ' || CASE attcompression WHEN 'p' THEN 'pglz' ELSE 'lz4' END END,
                    CASE WHEN attcollation NOT IN (0, 100) THEN 'COLLATE ' || attcollation::regcollation::text END,
                    CASE WHEN attnotnull THEN 'NOT NULL' END,
                    CASE attgenerated WHEN 's' THEN format('GENERATED ALWAYS AS (%s) STORED', expression) WHEN 'v' THEN format('GENERATED ALWAYS AS (%s) VIRTUAL', expression) END,
                    CASE WHEN attidentity <> '' THEN (SELECT format('GENERATED %s AS IDENTITY (SEQUENCE NAME %I START %s INCREMENT %s MINVALUE %s MAXVALUE %s CACHE %s %s)',
                        CASE attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, seq.relname, seqstart, seqincrement, seqmin, seqmax, seqcache,
                        CASE WHEN seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END) FROM seq WHERE deptype = 'i' AND refobjid = attrelid AND refobjsubid = attnum) END),
                    ', ' ORDER BY attnum) FROM col WHERE attrelid = rel.oid), ' WITH (' || array_to_string(reloptions, ', ') || ')')
            FROM rel WHERE relkind = 'r'
        UNION ALL SELECT 31, attrelid, attnum, format('ALTER TABLE %I ALTER %I SET STORAGE %s', relname, attname,
                CASE attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END)
            FROM col WHERE relkind = 'r' AND attstorage <> (SELECT typstorage FROM pg_catalog.pg_type WHERE oid = atttypid)
        UNION ALL SELECT CASE contype WHEN 'p' THEN 40 WHEN 'u' THEN 40 WHEN 'x' THEN 81 WHEN 'c' THEN 83 ELSE 84 END, c.oid, 0,
                format('ALTER TABLE %I ADD CONSTRAINT %I %s', relname, conname, pg_get_constraintdef(c.oid))
            FROM pg_catalog.pg_constraint c JOIN rel ON conrelid = rel.oid WHERE relkind = 'r' AND contype IN ('p', 'u', 'x', 'c', 'f')
        UNION ALL SELECT 50, oid, 0, CASE WHEN starts_with(def, 'CREATE OR REPLACE ' || word || ' ' || qualifier)
                THEN 'CREATE ' || word || ' ' || substr(def, length('CREATE OR REPLACE ' || word || ' ' || qualifier) + 1) END FROM fn
        UNION ALL SELECT 50, fn.oid, 1, format('ALTER %s %s SET search_path = %s', word, signature,
                (SELECT string_agg(CASE WHEN part IN (quote_ident($1), '"' || $1 || '"') THEN quote_ident($2) ELSE part END, ', ' ORDER BY at)
                    FROM unnest(string_to_array(substr(setting, 13), ', ')) WITH ORDINALITY AS parts (part, at)))
            FROM fn CROSS JOIN LATERAL unnest(proconfig) AS setting WHERE setting LIKE 'search\_path=_%'
        UNION ALL SELECT 50, oid, 0, format('CREATE %sVIEW %I%s AS %s%s', CASE relkind WHEN 'm' THEN 'MATERIALIZED ' ELSE '' END, relname,
                ' WITH (' || array_to_string(reloptions, ', ') || ')', rtrim(pg_get_viewdef(oid), ';'), CASE relkind WHEN 'm' THEN ' WITH NO DATA' END)
            FROM rel WHERE relkind IN ('v', 'm')
        UNION ALL SELECT 60, attrelid, attnum, format('ALTER TABLE %I ALTER %I SET DEFAULT %s', relname, attname, expression)
            FROM col WHERE relkind = 'r' AND expression IS NOT NULL AND attgenerated = ''
        UNION ALL SELECT 61, oid, 0, format('ALTER SEQUENCE %I OWNED BY %s.%I', relname, refobjid::regclass, (SELECT attname FROM pg_catalog.pg_attribute
                WHERE attrelid = refobjid AND attnum = refobjsubid)) FROM seq WHERE deptype = 'a'
        UNION ALL SELECT 70, oid, 0, format('INSERT INTO %I (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %I.%I', relname, columns, taken, $1, relname)
            FROM (SELECT oid, relname, (SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum) FROM col WHERE attrelid = rel.oid AND attgenerated = '') AS columns,
                    (SELECT string_agg(format(CASE WHEN typnamespace = relnamespace THEN '%I::text::%s' ELSE '%I' END, attname, format_type(atttypid, atttypmod)),
                        ', ' ORDER BY attnum) FROM col JOIN pg_catalog.pg_type t ON t.oid = atttypid WHERE attrelid = rel.oid AND attgenerated = '') AS taken
                FROM rel WHERE relkind = 'r' AND ($3::text[] IS NULL OR format('%I', relname) = ANY ($3) OR '"' || relname || '"' = ANY ($3))) filled
            WHERE columns IS NOT NULL
        UNION ALL SELECT 71, oid, 0, format('SELECT setval(%L, last_value, is_called) FROM %I.%I', format('%I.%I', $2, relname), $1, relname) FROM seq WHERE $3::text[] IS NULL
        UNION ALL SELECT 82, i.oid, 0, pg_get_indexdef(i.oid, 0, true) FROM rel i JOIN pg_catalog.pg_index ON indexrelid = i.oid
            WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conindid = i.oid AND contype IN ('p', 'u', 'x'))
        UNION ALL SELECT 82, indexrelid, 1, format('ALTER TABLE %s CLUSTER ON %I', indrelid::regclass, relname) FROM rel JOIN pg_catalog.pg_index ON indexrelid = rel.oid WHERE indisclustered
        UNION ALL SELECT 85, s.oid, 0, format('CREATE STATISTICS %I %s', stxname, substr(pg_get_statisticsobjdef(s.oid),
                length(format('CREATE STATISTICS %I.%I ', $1, stxname)) + 1)) FROM pg_catalog.pg_statistic_ext s JOIN ns ON stxnamespace = ns.oid
        UNION ALL SELECT 86, oid, 0, format('REFRESH MATERIALIZED VIEW %I', relname) FROM rel WHERE relkind = 'm' AND relispopulated
        UNION ALL SELECT 87, t.oid, 0, pg_get_triggerdef(t.oid, true) FROM pg_catalog.pg_trigger t JOIN rel ON tgrelid = rel.oid WHERE NOT tgisinternal
        UNION ALL SELECT 87, t.oid, 1, format('ALTER TABLE %I %s TRIGGER %I', relname, CASE tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, tgname)
            FROM pg_catalog.pg_trigger t JOIN rel ON tgrelid = rel.oid WHERE NOT tgisinternal AND tgenabled <> 'O'
        UNION ALL SELECT 88, p.oid, 0, concat_ws(' ', format('CREATE POLICY %I ON %I AS %s FOR %s TO %s', polname, relname, CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE r::regrole::text END, ', ') FROM unnest(polroles) AS r)),
                format('USING (%s)', nullif(pg_get_expr(polqual, polrelid), '')), format('WITH CHECK (%s)', nullif(pg_get_expr(polwithcheck, polrelid), '')))
            FROM pg_catalog.pg_policy p JOIN rel ON polrelid = rel.oid
        UNION ALL SELECT 89, oid, 0, format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', relname) FROM rel WHERE relrowsecurity
        UNION ALL SELECT 89, oid, 1, format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relname) FROM rel WHERE relforcerowsecurity
        UNION ALL SELECT 90, 0, 0, format('REVOKE ALL ON %s %s FROM PUBLIC', kind, name) FROM acl
            WHERE items IS NOT NULL AND columns = '' AND EXISTS (SELECT FROM aclexplode(usual) WHERE grantee = 0)
        UNION ALL SELECT 91, 0, 0, format('GRANT %s%s ON %s %s TO %s%s', a.privilege_type, columns, kind, name,
                CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
            FROM acl CROSS JOIN LATERAL aclexplode(items) AS a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
            WHERE a.grantee <> owner AND NOT coalesce(r.rolname ~ '^neocommons_tenant_[0-9a-f]{32}$', false)
        UNION ALL SELECT 92, rel.oid, objsubid, format('COMMENT ON %s IS %L', CASE WHEN objsubid > 0 THEN format('COLUMN %I.%I', relname, (SELECT attname FROM pg_catalog.pg_attribute
                WHERE attrelid = rel.oid AND attnum = objsubid)) ELSE format('%s %I', CASE relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
                WHEN 'i' THEN 'INDEX' WHEN 'S' THEN 'SEQUENCE' ELSE 'TYPE' END, relname) END, description)
            FROM rel JOIN pg_catalog.pg_description d ON classoid = 'pg_catalog.pg_class'::regclass AND objoid = rel.oid
        UNION ALL SELECT 92, fn.oid, 0, format('COMMENT ON %s %s IS %L', word, signature, description) FROM fn JOIN pg_catalog.pg_description ON classoid = 'pg_catalog.pg_proc'::regclass AND objoid = fn.oid
        UNION ALL SELECT 92, typ.oid, 0, format('COMMENT ON %s %I IS %L', CASE typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, typname, description)
            FROM typ JOIN pg_catalog.pg_description ON classoid = 'pg_catalog.pg_type'::regclass AND objoid = typ.oid
        UNION ALL SELECT 92, c.oid, 0, format('COMMENT ON CONSTRAINT %I ON %I IS %L', conname, relname, description) FROM pg_catalog.pg_constraint c JOIN rel ON conrelid = rel.oid
                JOIN pg_catalog.pg_description ON classoid = 'pg_catalog.pg_constraint'::regclass AND objoid = c.oid
        UNION ALL SELECT 92, t.oid, 0, format('COMMENT ON TRIGGER %I ON %I IS %L', tgname, relname, description) FROM pg_catalog.pg_trigger t JOIN rel ON tgrelid = rel.oid
                JOIN pg_catalog.pg_description ON classoid = 'pg_catalog.pg_trigger'::regclass AND objoid = t.oid
        UNION ALL SELECT 92, p.oid, 0, format('COMMENT ON POLICY %I ON %I IS %L', polname, relname, description) FROM pg_catalog.pg_policy p JOIN rel ON polrelid = rel.oid
                JOIN pg_catalog.pg_description ON classoid = 'pg_catalog.pg_policy'::regclass AND objoid = p.oid
        ORDER BY 1, 2, 3
        """;
}
