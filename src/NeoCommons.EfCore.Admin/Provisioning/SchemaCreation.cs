using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Makes one tenant's schema and its tables on one connection.</summary>
internal sealed class SchemaCreation(NpgsqlConnection connection, SchemaName schema, string slug)
{
    /// <summary>Creates schema and tables inside the transaction that the caller has begun.</summary>
    /// <param name="migration">Migrates the schema.</param>
    /// <param name="scripts">What to apply.</param>
    /// <param name="resume">Whether what the schema may hold already is ours, left by an interrupted creation.</param>
    /// <param name="ct">Cancels.</param>
    /// <returns>The last migration that is applied, or null.</returns>
    /// <exception cref="TenantConflictException">The schema holds objects of somebody else.</exception>
    public async Task<string?> CreateAsync(
        SchemaMigration migration,
        IReadOnlyList<MigrationScript> scripts,
        bool resume,
        CancellationToken ct
    )
    {
        await PrepareAsync(resume, ct).ConfigureAwait(false);
        await migration.BindAsync(ct).ConfigureAwait(false);
        string? version = null;
        foreach (var script in scripts)
        {
            var pending = await PendingAsync(migration, script, ct).ConfigureAwait(false);
            await migration.ApplyInTransactionAsync(script.History, pending, ct).ConfigureAwait(false);
            version = Latest(version, script);
        }

        return version;
    }

    /// <summary>
    /// Creates schema and tables in one transaction, or, where a migration forbids that, in several, and then drops the
    /// schema again if one fails.
    /// </summary>
    /// <inheritdoc cref="CreateAsync"/>
    public async Task<string?> CreateOrUndoAsync(
        SchemaMigration migration,
        IReadOnlyList<MigrationScript> scripts,
        bool resume,
        CancellationToken ct
    )
    {
        if (scripts.All(script => script.IsTransactional))
        {
            var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
            await using var _ = transaction.ConfigureAwait(false);
            var reached = await CreateAsync(migration, scripts, resume, ct).ConfigureAwait(false);
            await transaction.CommitAsync(ct).ConfigureAwait(false);
            return reached;
        }

        var isNew = await PrepareAsync(resume, ct).ConfigureAwait(false);
        try
        {
            await migration.BindAsync(ct).ConfigureAwait(false);
            string? version = null;
            foreach (var script in scripts)
            {
                var pending = await PendingAsync(migration, script, ct).ConfigureAwait(false);
                await migration.ApplyAsync(script.History, pending, ct).ConfigureAwait(false);
                version = Latest(version, script);
            }

            return version;
        }
        catch when (isNew && !resume)
        {
            await ExecuteAsync($"DROP SCHEMA IF EXISTS {schema.Quoted} CASCADE", CancellationToken.None)
                .ConfigureAwait(false);
            throw;
        }
    }

    private static async Task<IEnumerable<MigrationStep>> PendingAsync(
        SchemaMigration migration,
        MigrationScript script,
        CancellationToken ct
    )
    {
        var applied = await migration.ReadHistoryAsync(script.History, ct).ConfigureAwait(false);
        return script.Steps.ExceptBy(applied, s => s.Id, StringComparer.Ordinal);
    }

    private static string? Latest(string? version, MigrationScript script) =>
        script.Steps is [.., var last] && string.CompareOrdinal(last.Id, version) > 0 ? last.Id : version;

    /// <summary>Makes the schema; true if it was not there.</summary>
    private async Task<bool> PrepareAsync(bool resume, CancellationToken ct)
    {
        var found = await SchemaContent.ReadAsync(connection, schema, ct).ConfigureAwait(false);
        if (found.Occupant is not null && !resume)
        {
            throw new TenantConflictException(
                slug,
                $"Schema '{schema}' exists in database '{connection.Database}' and holds objects that are not this tenant's, "
                    + $"'{found.Occupant}' for one. Nothing was changed. Drop or rename the schema, or choose another slug."
            );
        }

        if (!found.Exists)
        {
            await ExecuteAsync($"CREATE SCHEMA {schema.Quoted}", ct).ConfigureAwait(false);
        }

        return !found.Exists;
    }

    private async Task ExecuteAsync(string sql, CancellationToken ct)
    {
        var command = new NpgsqlCommand(sql, connection);
        await using var _ = command.ConfigureAwait(false);
        await command.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }
}
