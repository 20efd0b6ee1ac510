using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Functions that pin the search path to their schema, and know it by the name that it had.</summary>
internal static class PinnedSearchPaths
{
    private const string Query = """
        SELECT format('ALTER ROUTINE %s SET search_path = %s', p.oid::regprocedure,
            (SELECT string_agg(CASE WHEN part IN (quote_ident($2), '"' || $2 || '"') THEN quote_ident($1) ELSE part END, ', ' ORDER BY at)
                FROM unnest(string_to_array(substr(setting, 13), ', ')) WITH ORDINALITY AS parts (part, at)))
        FROM pg_catalog.pg_proc p CROSS JOIN LATERAL unnest(p.proconfig) AS setting
        WHERE p.pronamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1) AND setting LIKE 'search\_path=_%'
            AND string_to_array(substr(setting, 13), ', ') && ARRAY[quote_ident($2), '"' || $2 || '"']
        """;

    /// <summary>Lets them follow a schema that was renamed, in the caller's transaction.</summary>
    public static async Task FollowAsync(
        NpgsqlConnection connection,
        SchemaName schema,
        SchemaName former,
        CancellationToken ct
    )
    {
        var statements = new List<string>();
        var command = new NpgsqlCommand(Query, connection)
        {
            Parameters =
            {
                new() { Value = schema.Value },
                new() { Value = former.Value },
            },
        };
        await using (command.ConfigureAwait(false))
        {
            var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
            await using var _ = reader.ConfigureAwait(false);
            while (await reader.ReadAsync(ct).ConfigureAwait(false))
            {
                statements.Add(reader.GetString(0));
            }
        }

        foreach (var sql in statements)
        {
            await connection.ExecuteAsync(sql, ct).ConfigureAwait(false);
        }
    }
}
