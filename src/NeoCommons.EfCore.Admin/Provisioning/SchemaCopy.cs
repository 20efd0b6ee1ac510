using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Copies a schema with everything in it, and makes sure that nothing in the copy leads back.</summary>
/// <remarks>
/// The server prints each definition while the search path is the template, and reads it while it is the copy: what is
/// within the template has no schema in between, so it comes to lie within the copy, and no text is searched for a name.
/// Then the catalogs of both are compared; a copy that is not the same in all is rolled back.
/// </remarks>
internal sealed class SchemaCopy(
    SchemaName template,
    bool withRows,
    IReadOnlyList<string> histories,
    IReadOnlyList<MigrationScript> others,
    TimeProvider time
)
{
    private const int FaultsShown = 3;

    /// <summary>Copies into an empty schema, in the transaction that the caller has begun.</summary>
    /// <exception cref="TenantConflictException">There is no template, or it holds what cannot be copied.</exception>
    public async Task CopyAsync(NpgsqlConnection connection, SchemaName target, string slug, CancellationToken ct)
    {
        // Others may copy meanwhile; the template is not migrated until all are done.
        await AdvisoryLock
            .AcquireSharedForTransactionAsync(connection, SchemaMigration.LockKey(template), time, ct)
            .ConfigureAwait(false);
        await ThrowIfNoneAsync(connection, template, slug, ct).ConfigureAwait(false);
        await ThrowIfOfOthersAsync(connection, slug, ct).ConfigureAwait(false);
        var wanted = await SchemaCatalog.ReadAsync(connection, template, ct).ConfigureAwait(false);
        var statements = await ComposeAsync(connection, target, ct).ConfigureAwait(false);
        await SchemaCatalog.SetPathAsync(connection, target, ct).ConfigureAwait(false);
        await connection
            .ExecuteAllAsync(["SET LOCAL check_function_bodies = off", .. statements], ct, timeout: 0)
            .ConfigureAwait(false);
        var made = await SchemaCatalog.ReadAsync(connection, target, ct).ConfigureAwait(false);
        await connection.ExecuteAsync("SET LOCAL check_function_bodies = on", ct).ConfigureAwait(false);
        ThrowIfDifferent(wanted, made, slug);
    }

    /// <exception cref="TenantConflictException">There is no template.</exception>
    public static async Task ThrowIfNoneAsync(
        NpgsqlConnection connection,
        SchemaName template,
        string slug,
        CancellationToken ct
    )
    {
        if ((await SchemaContent.ReadAsync(connection, template, ct).ConfigureAwait(false)).Occupant is null)
        {
            throw new TenantConflictException(
                slug,
                $"Database '{connection.Database}' has no template schema '{template}', or it is empty, so tenant '{slug}' was "
                    + "not created. Make it with 'tenants template' (ITenantProvisioner.RefreshTemplateAsync) for its connection, or create "
                    + "the tenant from the migrations."
            );
        }
    }

    private async Task ThrowIfOfOthersAsync(NpgsqlConnection connection, string slug, CancellationToken ct)
    {
        foreach (var script in others)
        {
            var applied = await script.History.ReadAsync(connection, template, ct).ConfigureAwait(false) ?? [];
            if (script.Steps.FirstOrDefault(s => applied.Contains(s.Id, StringComparer.Ordinal)) is { } step)
            {
                throw new TenantConflictException(
                    slug,
                    $"Template '{template}' of database '{connection.Database}' holds tables of {step.Context} (migration "
                        + $"'{step.Id}'), which is not for tenants of this type, so tenant '{slug}' was not created. Drop the "
                        + "template, and make it anew with 'tenants template' (ITenantProvisioner.RefreshTemplateAsync): it then holds what tenants of every "
                        + "type have, and what a type has besides comes from the migrations."
                );
            }
        }
    }

    private async Task<List<string>> ComposeAsync(NpgsqlConnection connection, SchemaName target, CancellationToken ct)
    {
        var command = new NpgsqlCommand(SchemaCopyStatements.Query, connection)
        {
            Parameters =
            {
                new() { Value = template.Value },
                new() { Value = target.Value },
                new() { Value = withRows ? DBNull.Value : histories.ToArray(), DataTypeName = "text[]" },
            },
        };
        await using var _ = command.ConfigureAwait(false);
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        var statements = new List<string>();
        while (await reader.ReadAsync(ct).ConfigureAwait(false))
        {
            // What has no statement is missing in the copy, and found there.
            if (!await reader.IsDBNullAsync(3, ct).ConfigureAwait(false))
            {
                statements.Add(reader.GetString(3));
            }
        }

        return statements;
    }

    private void ThrowIfDifferent(IReadOnlyList<SchemaObject> wanted, IReadOnlyList<SchemaObject> made, string slug)
    {
        // Text that names the template, the body of a function for one, would still do so in the copy.
        var faults = wanted
            .Except(made)
            .Concat(made.Except(wanted))
            .Select(o => o.ToString())
            .Concat(
                made.Where(o => o.Kind != "comment" && o.Definition.Contains(template.Value, StringComparison.Ordinal))
                    .Select(o => $"{o}, which names '{template}'")
            )
            .Distinct(StringComparer.Ordinal)
            .ToList();
        if (faults.Count > 0)
        {
            throw new TenantConflictException(
                slug,
                $"Template '{template}' holds {faults.Count} objects that cannot be copied as they are: "
                    + $"{string.Join("; ", faults.Take(FaultsShown))}{(faults.Count > FaultsShown ? "; ..." : "")}. Tenant '{slug}' "
                    + "was not created. Take them out of the template, or create the tenant from the migrations."
            );
        }
    }
}
