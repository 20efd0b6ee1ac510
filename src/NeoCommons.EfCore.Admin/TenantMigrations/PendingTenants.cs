using System.Globalization;
using System.Text.Json;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Finds which schemas of one database lack migrations: one query, whatever the number of schemas.</summary>
/// <remarks>
/// The histories are tables of different schemas, so the server composes a query for each, in a DO block, whose answer
/// leaves it in a setting. Each hundred lie in a subtransaction that is rolled back, which is what lets go of the locks
/// on what was read: a transaction that reads ten thousand tables would run out of them. A history that cannot be read
/// is a fault of its schema only.
/// </remarks>
internal static class PendingTenants
{
    private const string Read = """
        DO $neo$
        DECLARE
            asked jsonb := current_setting('neocommons.asked')::jsonb;
            histories jsonb := asked -> 'histories';
            schemas text[] := ARRAY(SELECT * FROM jsonb_array_elements_text(asked -> 'schemas'));
            counts int[];
            lasts text[];
            answers text[] := '{}';
            history jsonb;
            namespace oid;
            relation oid;
            found int;
            latest text;
            answer text;
            first int := 1;
        BEGIN
            WHILE first <= cardinality(schemas) LOOP
                BEGIN
                    FOR i IN first .. least(first + 99, cardinality(schemas)) LOOP
                        answer := schemas[i];
                        namespace := to_regnamespace(quote_ident(schemas[i]));
                        IF namespace IS NULL OR NOT has_schema_privilege(namespace, 'USAGE') THEN
                            answer := answer || E'\t-';
                        ELSE
                            BEGIN
                                FOR history IN SELECT * FROM jsonb_array_elements(histories) LOOP
                                    relation := to_regclass(quote_ident(schemas[i]) || '.' || (history ->> 'table'));
                                    found := 0;
                                    latest := NULL;
                                    IF relation IS NOT NULL THEN
                                        EXECUTE format('SELECT count(*) FILTER (WHERE %1$s = ANY($1)), max(%1$s COLLATE "C") FROM %2$I.%3$s',
                                            history ->> 'id', schemas[i], history ->> 'table')
                                            INTO found, latest USING ARRAY(SELECT * FROM jsonb_array_elements_text(history -> 'known'));
                                    END IF;
                                    answer := answer || E'\t' || found || E'\t' || coalesce(latest, '');
                                END LOOP;
                            EXCEPTION WHEN OTHERS THEN
                                answer := schemas[i] || E'\t!\t' || SQLSTATE || ': ' || translate(SQLERRM, E'\t\n', '  ');
                            END;
                        END IF;
                        answers := answers || answer;
                    END LOOP;
                    RAISE EXCEPTION USING ERRCODE = 'NEO00';
                EXCEPTION WHEN SQLSTATE 'NEO00' THEN
                END;
                first := first + 100;
            END LOOP;
            PERFORM set_config('neocommons.answers', array_to_string(answers, E'\n'), true);
        END $neo$
        """;

    /// <summary>Compares the scripts with the histories of these schemas; changes nothing.</summary>
    /// <param name="connection">An open connection to the database.</param>
    /// <param name="schemas">The schemas.</param>
    /// <param name="scripts">What they should have.</param>
    /// <param name="ct">Cancels.</param>
    /// <returns>One state per schema, in the order of <paramref name="schemas"/>.</returns>
    public static async Task<IReadOnlyList<SchemaState>> FindAsync(
        NpgsqlConnection connection,
        IReadOnlyCollection<SchemaName> schemas,
        IReadOnlyList<MigrationScript> scripts,
        CancellationToken ct
    )
    {
        if (schemas.Count == 0)
        {
            return [];
        }

        var asked = JsonSerializer.Serialize(
            new
            {
                schemas = schemas.Select(s => s.Value),
                histories = scripts.Select(s => new
                {
                    table = s.History.Table,
                    id = s.History.IdColumn,
                    known = s.Steps.Select(step => step.Id),
                }),
            }
        );

        // A history that somebody has locked is one that cannot be read now: the others are not to wait for it.
        // One message and so one transaction, which the settings last for; a pooler keeps it together too.
        var batch = new NpgsqlBatch(connection)
        {
            Timeout = 0,
            BatchCommands =
            {
                new("SELECT set_config('neocommons.asked', $1, true), set_config('lock_timeout', $2, true)")
                {
                    Parameters =
                    {
                        new() { Value = asked },
                        new() { Value = $"{SchemaMigration.ReadPatience}ms" },
                    },
                },
                new(Read),
                new("SELECT current_setting('neocommons.answers')"),
            },
        };
        await using var _ = batch.ConfigureAwait(false);
        var reader = await batch.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        await reader.NextResultAsync(ct).ConfigureAwait(false);
        await reader.ReadAsync(ct).ConfigureAwait(false);
        return [.. reader.GetString(0).Split('\n').Select(line => Parse(line.Split('\t'), scripts))];
    }

    private static SchemaState Parse(string[] columns, IReadOnlyList<MigrationScript> scripts)
    {
        var schema = SchemaName.Parse(columns[0]);
        if (columns is [_, "-", ..])
        {
            return new SchemaState(
                schema,
                Exists: false,
                Version: null,
                scripts.Sum(s => s.Steps.Count),
                IsAhead: false,
                Fault: null
            );
        }

        if (columns is [_, "!", var error])
        {
            return new SchemaState(
                schema,
                Exists: true,
                Version: null,
                0,
                IsAhead: false,
                SchemaMigration.Unreadable(schema, error)
            );
        }

        var pending = 0;
        var ahead = false;
        Exception? fault = null;
        string? version = null;
        for (var i = 0; i < scripts.Count; i++)
        {
            var steps = scripts[i].Steps;
            var applied = int.Parse(columns[(2 * i) + 1], CultureInfo.InvariantCulture);
            var latest = columns[(2 * i) + 2] is { Length: > 0 } id ? id : null;
            pending += steps.Count - applied;
            var isAhead =
                latest is not null && string.CompareOrdinal(latest, steps is [.., var last] ? last.Id : null) > 0;
            ahead |= isAhead;
            if (isAhead && applied < steps.Count)
            {
                fault ??= SchemaMigration.Mixed(schema, scripts[i].History, latest!, null);
            }

            version = string.CompareOrdinal(latest, version) > 0 ? latest : version;
        }

        return new SchemaState(schema, Exists: true, version, ahead ? 0 : pending, ahead, fault);
    }
}
