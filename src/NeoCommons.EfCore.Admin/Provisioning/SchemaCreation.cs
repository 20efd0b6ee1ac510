using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Makes one tenant's schema, its tables and its role on one connection.</summary>
/// <remarks>
/// The schema's comment says whose it is, written together with the schema: only that tells a creation that is resumed
/// its own tables from somebody else's.
/// </remarks>
internal sealed class SchemaCreation(
    NpgsqlConnection connection,
    DatabaseConnection database,
    SchemaName schema,
    TenantEntity tenant,
    TenantRights rights,
    SchemaCopy? copy
)
{
    private TenantId Id => new(tenant.Id);

    /// <summary>Whether the schema was not there before.</summary>
    public bool IsNew { get; private set; }

    private bool IsToBeCopied { get; set; }

    /// <summary>Takes the schema that waited for this tenant, if one did, in the transaction that the caller has begun.</summary>
    /// <returns>Whether the schema is the tenant's already, and only what it lacks is to be added.</returns>
    public async Task<bool> MoveInAsync(TenantPlaces places, CancellationToken ct)
    {
        if (tenant.SchemaName == schema.Value || !WarmSchemas.IsWarm(tenant.SchemaName))
        {
            return false;
        }

        await places
            .LockSchemasAsync(connection, [SchemaName.Parse(tenant.SchemaName), schema], ct)
            .ConfigureAwait(false);
        var isThere = await WarmSchemas.MoveInAsync(connection, tenant, schema, ct).ConfigureAwait(false);
        tenant.SchemaName = schema.Value;
        IsNew = isThere;
        return isThere;
    }

    /// <summary>Creates schema and tables inside the transaction that the caller has begun.</summary>
    /// <param name="migration">Migrates the schema.</param>
    /// <param name="scripts">What to apply.</param>
    /// <param name="resume">Whether what the schema may hold already is ours, left by an interrupted creation.</param>
    /// <param name="ct">Cancels.</param>
    /// <returns>What was found and applied.</returns>
    /// <exception cref="TenantConflictException">The schema holds objects of somebody else.</exception>
    public async Task<MigrationPlan> CreateAsync(
        SchemaMigration migration,
        IReadOnlyList<MigrationScript> scripts,
        bool resume,
        CancellationToken ct
    )
    {
        await PrepareAsync(resume, ct).ConfigureAwait(false);
        if (IsToBeCopied)
        {
            await copy!.CopyAsync(connection, schema, tenant.Slug, ct).ConfigureAwait(false);
        }

        await migration.BindAsync(ct).ConfigureAwait(false);
        var plan = await migration.PlanAsync(scripts, ct).ConfigureAwait(false);
        await migration.ApplyInTransactionAsync(plan.Pending, ct).ConfigureAwait(false);
        await rights.GrantInTransactionAsync(connection, database, Id, schema, ct).ConfigureAwait(false);
        return plan;
    }

    /// <summary>
    /// Moves in, and creates schema and tables, in one transaction, or, where a migration forbids that, in several, and then
    /// drops the schema again if one fails.
    /// </summary>
    /// <inheritdoc cref="CreateAsync"/>
    public async Task<MigrationPlan> CreateOrUndoAsync(
        SchemaMigration migration,
        TenantPlaces places,
        IReadOnlyList<MigrationScript> scripts,
        bool resume,
        CancellationToken ct
    )
    {
        bool isThere;
        var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            isThere = await MoveInAsync(places, ct).ConfigureAwait(false);
            if (scripts.All(script => script.IsTransactional))
            {
                var reached = await CreateAsync(migration, scripts, resume || isThere, ct).ConfigureAwait(false);
                await transaction.CommitAsync(ct).ConfigureAwait(false);
                return reached;
            }

            await transaction.CommitAsync(ct).ConfigureAwait(false);
        }

        try
        {
            await PrepareAsync(resume || isThere, ct).ConfigureAwait(false);
            if (IsToBeCopied)
            {
                var copying = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
                await using var _ = copying.ConfigureAwait(false);
                await copy!.CopyAsync(connection, schema, tenant.Slug, ct).ConfigureAwait(false);
                await copying.CommitAsync(ct).ConfigureAwait(false);
            }

            await migration.BindAsync(ct).ConfigureAwait(false);
            var plan = await migration.PlanAsync(scripts, ct).ConfigureAwait(false);
            await migration.ApplyAsync(plan.Pending, ct).ConfigureAwait(false);
            await rights.GrantAsync(connection, database, Id, schema, ct).ConfigureAwait(false);
            return plan;
        }
        catch when (IsNew && !resume)
        {
            await connection
                .ExecuteAsync($"DROP SCHEMA IF EXISTS {schema.Quoted} CASCADE", CancellationToken.None)
                .ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Makes the schema, unless it is there.</summary>
    private async Task PrepareAsync(bool resume, CancellationToken ct)
    {
        var found = await SchemaContent.ReadAsync(connection, schema, ct).ConfigureAwait(false);
        if (found.Occupant is not null && !(resume && SchemaMark.Is(found.Comment, tenant.Id)))
        {
            throw new TenantConflictException(
                tenant.Slug,
                $"Schema '{schema}' exists in database '{connection.Database}' and holds objects that are not this tenant's, "
                    + $"'{found.Occupant}' for one. Nothing was changed. Drop or rename the schema, or choose another slug."
                    + (resume ? $" If they are its own: {SchemaMark.Statement(schema, tenant.Id)}." : "")
            );
        }

        var comment = SchemaMark.Statement(schema, tenant.Id);
        if (!found.Exists)
        {
            await connection.ExecuteAsync($"CREATE SCHEMA {schema.Quoted}; {comment}", ct).ConfigureAwait(false);
            IsNew = true;
        }
        else if (found.IsOwned && (found.Comment is null || SchemaMark.IsAny(found.Comment)))
        {
            await connection.ExecuteAsync(comment, ct).ConfigureAwait(false);
        }

        // What a resumed creation finds was copied or migrated already: either is whole.
        IsToBeCopied = copy is not null && found.Occupant is null;
    }
}
