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
        var command = new NpgsqlCommand(
            """
            SELECT n.oid IS NOT NULL, coalesce(
                (SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid LIMIT 1),
                (SELECT p.proname FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid LIMIT 1),
                (SELECT t.typname FROM pg_catalog.pg_type t WHERE t.typnamespace = n.oid LIMIT 1))::text,
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
