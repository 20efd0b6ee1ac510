using Npgsql;
using NpgsqlTypes;

namespace NeoCommons.EfCore.Admin;

/// <summary>Reads what changed in the registry, from <c>admin.registry_changes</c>, which its triggers write.</summary>
/// <remarks>
/// A position is a snapshot, not a number: a sequence gives its numbers out before the commit, so that a lower one may
/// become visible after a higher one and would be missed. See docs/adr/0020.
/// </remarks>
internal sealed class RegistryChangeLog(AdminDatabase database)
{
    /// <summary>How long changes are kept in the table.</summary>
    public static readonly TimeSpan Retention = TimeSpan.FromDays(1);

    /// <summary>More at once are not looked at one by one.</summary>
    public const int Most = 10_000;

    private const int Timeout = 10;

    /// <summary>Reads what the position does not know yet.</summary>
    /// <param name="position">Null: from <paramref name="window"/> ago.</param>
    /// <param name="window">How far back, where there is no position; and an hour more, for transactions that were open so long.</param>
    /// <param name="ct">Cancels.</param>
    /// <returns>The position after them, and the changes; null where they are too many, or not kept any more.</returns>
    public async Task<(RegistryPosition Position, IReadOnlyList<RegistryChange>? Changes)> ReadAsync(
        RegistryPosition? position,
        TimeSpan window,
        CancellationToken ct
    )
    {
        for (var isFirst = true; ; isFirst = false)
        {
            var connection = await database.OpenAsync(ct).ConfigureAwait(false);
            await using var _ = connection.ConfigureAwait(false);
            try
            {
                return await ReadAsync(connection, position, window, ct).ConfigureAwait(false);
            }
            catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.UndefinedTable)
            {
                throw AdminReads.NoSchema(e);
            }
            catch (NpgsqlException e) when (isFirst && e.IsTransient)
            {
                // It died in the pool. The next one is opened, and where that fails, says why.
            }
        }
    }

    private static async Task<(RegistryPosition Position, IReadOnlyList<RegistryChange>? Changes)> ReadAsync(
        NpgsqlConnection connection,
        RegistryPosition? position,
        TimeSpan window,
        CancellationToken ct
    )
    {
        var command = new NpgsqlCommand(
            """
            SELECT pg_current_snapshot()::text, clock_timestamp(), c.xid::text::bigint, c.kind, c.tenant_id, c.slugs,
                $1::pg_snapshot IS NULL
                    OR pg_snapshot_xmax(pg_current_snapshot()) >= pg_snapshot_xmax($1::pg_snapshot) AS is_later,
                pg_postmaster_start_time()
            FROM (SELECT) AS always LEFT JOIN LATERAL (
                SELECT * FROM admin.registry_changes
                WHERE CASE WHEN $1::pg_snapshot IS NULL THEN changed_at > clock_timestamp() - $2 - interval '1 hour'
                    ELSE NOT pg_visible_in_snapshot(xid, $1::pg_snapshot) END
                    AND xid >= coalesce(pg_snapshot_xmin($1::pg_snapshot), '0')
                ORDER BY id LIMIT $3) AS c ON true
            """,
            connection
        );
        await using var _ = command.ConfigureAwait(false);
        command.CommandTimeout = Timeout;
        command.Parameters.Add(
            new() { Value = (object?)position?.Snapshot ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text }
        );
        command.Parameters.Add(new() { Value = window });
        command.Parameters.Add(new() { Value = Most + 1 });
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        RegistryPosition? after = null;
        var isKnown = true;
        var changes = new List<RegistryChange>();
        while (await reader.ReadAsync(ct).ConfigureAwait(false))
        {
            if (after is null)
            {
                after = new RegistryPosition(
                    reader.GetString(0),
                    reader.GetFieldValue<DateTimeOffset>(1),
                    reader.GetFieldValue<DateTimeOffset>(7)
                );

                // A day is kept, with a margin. A server that was restored from a dump counts from the beginning, and one
                // that took over from what had come through to it: it may be as far again by now, with other changes.
                isKnown =
                    reader.GetBoolean(6)
                    && (
                        position is null
                        || (after.StartedAt == position.StartedAt && after.ReadAt - position.ReadAt < Retention * 0.9)
                    );
            }

            if (!await reader.IsDBNullAsync(2, ct).ConfigureAwait(false))
            {
                changes.Add(Map(reader));
            }
        }

        return (after!, isKnown && changes.Count <= Most ? changes : null);
    }

    /// <summary>Deletes what is older than <see cref="Retention"/>.</summary>
    public async Task PruneAsync(CancellationToken ct)
    {
        var command = database.Source.CreateCommand(
            "DELETE FROM admin.registry_changes WHERE changed_at < clock_timestamp() - $1"
        );
        await using var _ = command.ConfigureAwait(false);
        command.CommandTimeout = Timeout;
        command.Parameters.Add(new() { Value = Retention });
        await command.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }

    private static RegistryChange Map(NpgsqlDataReader row) =>
        new(
            row.GetInt64(2),
            Enum.Parse<RegistryChangeKind>(row.GetString(3), ignoreCase: true),
            row.GetValue(4) is Guid id ? new TenantId(id) : null,
            row.GetValue(5) as string[] ?? []
        );
}
