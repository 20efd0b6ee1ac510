using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Whether a schema exists, and the name of an object in it, if there is one.</summary>
internal readonly record struct SchemaContent(bool Exists, string? Occupant)
{
    public static async Task<SchemaContent> ReadAsync(
        NpgsqlConnection connection,
        SchemaName schema,
        CancellationToken ct
    )
    {
        var command = new NpgsqlCommand(
            """
            SELECT n.oid IS NOT NULL, coalesce(
                (SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid LIMIT 1),
                (SELECT p.proname FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid LIMIT 1),
                (SELECT t.typname FROM pg_catalog.pg_type t WHERE t.typnamespace = n.oid LIMIT 1))::text
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
        var occupant = await reader.IsDBNullAsync(1, ct).ConfigureAwait(false) ? null : reader.GetString(1);
        return new SchemaContent(reader.GetBoolean(0), occupant);
    }
}
