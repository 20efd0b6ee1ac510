using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Makes a tenant's role, and gives it its schema, where <see cref="ConnectionOptions.TenantRoles"/> is on.</summary>
/// <remarks>
/// Grants only what is lacking: each GRANT writes to the catalog, changed or not, and a run over all tenants would write
/// a row for each of their tables. The server composes the statements, so that nothing is quoted here.
/// </remarks>
internal sealed class TenantRights(IOptions<ConnectionOptions> options, TimeProvider time)
{
    private const string Tables = "SELECT, INSERT, UPDATE, DELETE, TRUNCATE";
    private const string Sequences = "USAGE, SELECT, UPDATE";
    private const string TablesToRead = "SELECT";
    private const string NoSequences = "";

    private const int FirstVersionWithSetOption = 16;

    // Looked up in pg_depend, which has an index by schema; pg_class and pg_proc have none.
    // What is another owner's is left to them, except that without USAGE of a schema there is nothing.
    private const string Lacking = """
        WITH wanted AS (
            SELECT r.oid AS role, r.rolname, n.oid AS namespace, n.nspname, w.tables, w.sequences, w.is_shared,
                pg_has_role(n.nspowner, 'USAGE') AS is_ours, has_schema_privilege(n.oid, 'CREATE') AS is_open
            FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bool[])
                AS w (grantee, schema, tables, sequences, is_shared)
            JOIN pg_catalog.pg_roles r ON r.rolname = w.grantee
            JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema),
        within AS (
            SELECT refobjid AS namespace, classid, objid FROM pg_catalog.pg_depend
            WHERE refclassid = 'pg_catalog.pg_namespace'::regclass AND refobjid IN (SELECT namespace FROM wanted)),
        roles AS (
            SELECT t.oid AS role, t.rolname, g.oid AS common, g.rolname AS common_name
            FROM pg_catalog.pg_roles t CROSS JOIN pg_catalog.pg_roles g WHERE t.rolname = $1[1] AND g.rolname = $1[2])
        SELECT 'role' AS kind, name AS sql
        FROM unnest($1::text[]) AS name WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name)
        UNION ALL
        SELECT 'own', format('GRANT %I TO %I', common_name, rolname) FROM roles
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.roleid = common AND m.member = role)
        UNION ALL
        SELECT 'own', format('GRANT %I TO CURRENT_USER', rolname) || $8 FROM roles
        WHERE NOT pg_has_role(current_user, role, $7)
        UNION ALL
        SELECT CASE WHEN NOT is_ours THEN 'fault' WHEN is_shared THEN 'shared' ELSE 'own' END,
            format('GRANT USAGE ON SCHEMA %I TO %I', nspname, rolname)
        FROM wanted WHERE NOT has_schema_privilege(role, namespace, 'USAGE')
        UNION ALL
        SELECT CASE WHEN is_shared THEN 'shared' ELSE 'own' END,
            format('GRANT %s ON TABLE %I.%I TO %I', tables, nspname, relname, rolname)
        FROM wanted JOIN within USING (namespace) JOIN pg_catalog.pg_class ON classid = 'pg_catalog.pg_class'::regclass AND pg_class.oid = objid
        WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_has_role(relowner, 'USAGE') AND EXISTS (
            SELECT FROM string_to_table(tables, ', ') AS p WHERE NOT has_table_privilege(role, pg_class.oid, p))
        UNION ALL
        SELECT CASE WHEN is_shared THEN 'shared' ELSE 'own' END,
            format('GRANT %s ON SEQUENCE %I.%I TO %I', sequences, nspname, relname, rolname)
        FROM wanted JOIN within USING (namespace) JOIN pg_catalog.pg_class ON classid = 'pg_catalog.pg_class'::regclass AND pg_class.oid = objid
        WHERE relkind = 'S' AND pg_has_role(relowner, 'USAGE') AND sequences <> '' AND EXISTS (
            SELECT FROM string_to_table(sequences, ', ') AS p WHERE NOT has_sequence_privilege(role, pg_class.oid, p))
        UNION ALL
        SELECT CASE WHEN is_shared THEN 'shared' ELSE 'own' END,
            format('GRANT EXECUTE ON ROUTINE %s TO %I', pg_proc.oid::regprocedure, rolname)
        FROM wanted JOIN within USING (namespace) JOIN pg_catalog.pg_proc ON classid = 'pg_catalog.pg_proc'::regclass AND pg_proc.oid = objid
        WHERE pg_has_role(proowner, 'USAGE') AND NOT has_function_privilege(role, pg_proc.oid, 'EXECUTE')
        UNION ALL
        SELECT CASE WHEN is_shared THEN 'shared' ELSE 'own' END,
            format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT %s ON %s TO %I', nspname, privileges, things, rolname)
        FROM wanted CROSS JOIN LATERAL (VALUES
            ('r', 'TABLES', tables), ('S', 'SEQUENCES', sequences), ('f', 'ROUTINES', 'EXECUTE')
        ) AS d (kind, things, privileges)
        WHERE is_open AND privileges <> '' AND EXISTS (
            SELECT FROM string_to_table(privileges, ', ') AS p WHERE NOT EXISTS (
                SELECT FROM pg_catalog.pg_default_acl CROSS JOIN LATERAL aclexplode(defaclacl) AS a
                WHERE defaclnamespace = namespace AND defaclobjtype = d.kind::"char" AND a.grantee = role
                    AND defaclrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
                    AND a.privilege_type = p))
        """;

    /// <summary>Grants what is lacking, in a transaction of its own.</summary>
    /// <inheritdoc cref="GrantInTransactionAsync"/>
    public async Task GrantAsync(
        NpgsqlConnection connection,
        DatabaseConnection row,
        TenantId tenant,
        SchemaName schema,
        CancellationToken ct
    )
    {
        if (!options.Value.TenantRoles)
        {
            return;
        }

        var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var _ = transaction.ConfigureAwait(false);
        await GrantInTransactionAsync(connection, row, tenant, schema, ct).ConfigureAwait(false);
        await transaction.CommitAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Grants what is lacking, in the transaction that the caller has begun and is about to end.</summary>
    /// <param name="connection">A session of the connection's own user, who owns the schema.</param>
    /// <param name="row">The connection's row.</param>
    /// <param name="tenant">The tenant.</param>
    /// <param name="schema">Its schema.</param>
    /// <param name="ct">Cancels.</param>
    /// <exception cref="ConnectionUnavailableException">The user may not create roles, or not grant what is lacking.</exception>
    public async Task GrantInTransactionAsync(
        NpgsqlConnection connection,
        DatabaseConnection row,
        TenantId tenant,
        SchemaName schema,
        CancellationToken ct
    )
    {
        if (!options.Value.TenantRoles)
        {
            return;
        }

        try
        {
            var lacking = await FindAsync(connection, tenant, schema, ct).ConfigureAwait(false);
            if (lacking.Exists(l => l.Kind == "role"))
            {
                foreach (var (_, role) in lacking.Where(l => l.Kind == "role"))
                {
                    await CreateAsync(connection, role, ct).ConfigureAwait(false);
                }

                lacking = await FindAsync(connection, tenant, schema, ct).ConfigureAwait(false);
            }

            if (lacking.Exists(l => l.Kind == "shared"))
            {
                // Two that grant on the same object at once: "tuple concurrently updated".
                await AdvisoryLock
                    .AcquireForTransactionAsync(connection, "neocommons.shared-rights", time, ct)
                    .ConfigureAwait(false);
                lacking = await FindAsync(connection, tenant, schema, ct).ConfigureAwait(false);
            }

            if (lacking.Find(l => l.Kind == "fault") is { Sql: { } grant })
            {
                throw Refusal(
                    row,
                    $"its schema belongs to another role than {row.Username}. Let its owner execute: {grant}",
                    null
                );
            }

            await connection.ExecuteAllAsync(lacking.Select(l => l.Sql), ct).ConfigureAwait(false);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            throw Refusal(
                row,
                $"its user may not make it, or not grant it ({e.MessageText}). Let a superuser execute: ALTER ROLE "
                    + $"\"{row.Username}\" CREATEROLE; and, where another user has made the role {TenantRole.Group}: GRANT "
                    + $"{TenantRole.Group} TO \"{row.Username}\" WITH ADMIN OPTION",
                e
            );
        }

        ConnectionUnavailableException Refusal(DatabaseConnection at, string why, Exception? cause) =>
            new(
                at.Name,
                ConnectionUnavailableReason.InvalidConfiguration,
                $"NeoCommons:Connections:TenantRoles is on, and connection '{at.Name}' cannot have the role "
                    + $"{TenantRole.Of(tenant)} for schema '{schema}': {why}. Or set TenantRoles to false.",
                cause
            );
    }

    private async Task<List<(string Kind, string Sql)>> FindAsync(
        NpgsqlConnection connection,
        TenantId tenant,
        SchemaName schema,
        CancellationToken ct
    )
    {
        var role = TenantRole.Of(tenant);
        string[] shared = [.. options.Value.AllSharedSchemas];
        var hasSetOption = connection.PostgreSqlVersion.Major >= FirstVersionWithSetOption;
        var command = new NpgsqlCommand(Lacking, connection)
        {
            Parameters =
            {
                new() { Value = new[] { role, TenantRole.Group } },
                new() { Value = shared.Select(_ => TenantRole.Group).Prepend(role).ToArray() },
                new() { Value = shared.Prepend(schema.Value).ToArray() },
                new() { Value = shared.Select(_ => TablesToRead).Prepend(Tables).ToArray() },
                new() { Value = shared.Select(_ => NoSequences).Prepend(Sequences).ToArray() },
                new() { Value = shared.Select(_ => true).Prepend(false).ToArray() },
                new() { Value = hasSetOption ? "SET" : "MEMBER" },
                // Else the user would have each tenant's rights by itself; it has its own, and takes a role on by SET ROLE.
                new() { Value = hasSetOption ? " WITH INHERIT FALSE, SET TRUE" : "" },
            },
        };
        await using var _ = command.ConfigureAwait(false);
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        var found = new List<(string, string)>();
        while (await reader.ReadAsync(ct).ConfigureAwait(false))
        {
            found.Add((reader.GetString(0), reader.GetString(1)));
        }

        return found;
    }

    // Another database of the server may be making the role that all tenants have in common, right now.
    private static Task CreateAsync(NpgsqlConnection connection, string role, CancellationToken ct) =>
        connection.ExecuteAsync(
            $"DO $$ BEGIN CREATE ROLE {role} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$",
            ct
        );
}
