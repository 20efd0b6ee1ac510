using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>The first line of a schema's comment, which says whose it is whatever it is called.</summary>
/// <remarks>
/// It is what lets a command that was interrupted between two databases be repeated: the registry may hold the old name
/// of a schema that has its new one already.
/// </remarks>
internal static class SchemaMark
{
    private const string Prefix = "NeoCommons tenant ";

    public static string Of(Guid tenant) => Prefix + tenant;

    public static bool Is(string? comment, Guid tenant) =>
        comment is not null
        && comment.StartsWith(Of(tenant), StringComparison.Ordinal)
        && (comment.Length == Of(tenant).Length || comment[Of(tenant).Length] == '\n');

    /// <summary>The tenant that a comment names; null where it names none.</summary>
    public static TenantId? Read(string? comment) =>
        IsAny(comment) && Guid.TryParse(comment![Prefix.Length..].Split('\n')[0], out var id) && id != Guid.Empty
            ? new TenantId(id)
            : null;

    public static bool IsAny(string? comment) => comment?.StartsWith(Prefix, StringComparison.Ordinal) ?? false;

    /// <summary>The statement that writes it: a Guid and nothing else, so nothing in it needs quoting.</summary>
    public static string Statement(SchemaName schema, Guid tenant) =>
        $"COMMENT ON SCHEMA {schema.Quoted} IS '{Of(tenant)}'";

    /// <summary>Finds the tenant's schema, by its name or else by its mark.</summary>
    /// <returns>Its name; null where there is none.</returns>
    /// <exception cref="TenantIsolationException">
    /// The schema of this name is another tenant's, or several schemas carry the mark.
    /// </exception>
    public static async Task<SchemaName?> FindAsync(
        NpgsqlConnection connection,
        SchemaName expected,
        Guid tenant,
        CancellationToken ct
    )
    {
        // The comments are searched only where there is no schema of this name.
        var marked = new List<SchemaName>();
        var command = new NpgsqlCommand(
            """
            WITH named AS (SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname = $1)
            SELECT nspname, obj_description(oid, 'pg_namespace') FROM named
            UNION ALL
            SELECT n.nspname, d.description FROM pg_catalog.pg_description d JOIN pg_catalog.pg_namespace n ON n.oid = d.objoid
            WHERE d.classoid = 'pg_catalog.pg_namespace'::regclass AND starts_with(d.description, $2) AND NOT EXISTS (SELECT FROM named)
            ORDER BY nspname
            """,
            connection
        )
        {
            Parameters =
            {
                new() { Value = expected.Value },
                new() { Value = Of(tenant) },
            },
        };
        await using var _ = command.ConfigureAwait(false);
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        while (await reader.ReadAsync(ct).ConfigureAwait(false))
        {
            var name = reader.GetString(0);
            var comment = await reader.IsDBNullAsync(1, ct).ConfigureAwait(false) ? null : reader.GetString(1);
            var isOurs = Is(comment, tenant);
            if (name == expected.Value)
            {
                return isOurs || !IsAny(comment)
                    ? expected
                    : throw new TenantIsolationException(
                        $"Schema '{name}' in database '{connection.Database}' is marked as another tenant's ('{comment}'), so it "
                            + "was not touched. Correct schema_name in admin.tenants, or the schema's comment.",
                        new TenantId(tenant)
                    );
            }

            if (isOurs)
            {
                marked.Add(SchemaName.Parse(name));
            }
        }

        return marked.Count < 2
            ? marked.FirstOrDefault()
            : throw new TenantIsolationException(
                $"Schema '{expected}' does not exist in database '{connection.Database}', and {marked.Count} schemas are marked as "
                    + $"tenant {tenant}'s: {string.Join(", ", marked)}. Take the comment off all but the right one.",
                new TenantId(tenant)
            );
    }

    /// <summary>Finds the schema that is to get another name, which must be free or its own already; changes nothing.</summary>
    /// <exception cref="TenantIsolationException">There is no such schema, or it is not the tenant's.</exception>
    /// <exception cref="TenantConflictException">There is another schema of the new name.</exception>
    public static async Task<SchemaName> FindToRenameAsync(
        NpgsqlConnection connection,
        SchemaName expected,
        SchemaName target,
        string slug,
        Guid tenant,
        CancellationToken ct
    )
    {
        var current =
            await FindAsync(connection, expected, tenant, ct).ConfigureAwait(false)
            ?? throw new TenantIsolationException(
                $"Tenant '{slug}' has no schema '{expected}' in database '{connection.Database}', and none is marked as "
                    + "its own, so nothing was renamed. Correct schema_name or connection_id in admin.tenants.",
                new TenantId(tenant)
            );
        return
            current.Equals(target)
            || !(await SchemaContent.ReadAsync(connection, target, ct).ConfigureAwait(false)).Exists
            ? current
            : throw new TenantConflictException(
                slug,
                $"Schema '{target}' exists already in database '{connection.Database}'. Nothing was changed. Drop or "
                    + "rename it, or choose another slug."
            );
    }

    /// <summary>Gives the tenant's schema this name, in the transaction that the caller has begun.</summary>
    /// <inheritdoc cref="FindToRenameAsync"/>
    public static async Task RenameAsync(
        NpgsqlConnection connection,
        SchemaName expected,
        SchemaName target,
        TenantEntity tenant,
        CancellationToken ct
    )
    {
        var current = await FindToRenameAsync(connection, expected, target, tenant.Slug, tenant.Id, ct)
            .ConfigureAwait(false);
        var found = await SchemaContent.ReadAsync(connection, current, ct).ConfigureAwait(false);
        if (!current.Equals(target))
        {
            await connection
                .ExecuteAsync($"ALTER SCHEMA {current.Quoted} RENAME TO {target.Quoted}", ct)
                .ConfigureAwait(false);
            await PinnedSearchPaths.FollowAsync(connection, target, current, ct).ConfigureAwait(false);
        }

        if (!Is(found.Comment, tenant.Id))
        {
            // What somebody else has written there stays, below.
            var isOurs = found.Comment is null || found.Comment.StartsWith(WarmSchemas.Mark, StringComparison.Ordinal);
            var text = Of(tenant.Id) + (isOurs ? "" : "\n" + found.Comment);
            var compose = new NpgsqlCommand("SELECT format('COMMENT ON SCHEMA %I IS %L', $1, $2)", connection)
            {
                Parameters =
                {
                    new() { Value = target.Value },
                    new() { Value = text },
                },
            };
            await using var _ = compose.ConfigureAwait(false);
            await connection
                .ExecuteAsync((string)(await compose.ExecuteScalarAsync(ct).ConfigureAwait(false))!, ct)
                .ConfigureAwait(false);
        }
    }
}
