namespace NeoCommons.EfCore.Admin;

/// <summary>Makes and migrates schemas that are no tenant's: the template, and those that wait for a tenant.</summary>
internal sealed class SchemaBuilding(
    SharedMigration shared,
    ConnectionOpening opening,
    SearchPath searchPath,
    TimeProvider time
)
{
    /// <summary>Makes the schema where it does not exist, and migrates it.</summary>
    /// <param name="source">Its database.</param>
    /// <param name="schema">The schema.</param>
    /// <param name="known">Its migrations.</param>
    /// <param name="comment">What its comment says if it is made; a constant.</param>
    /// <param name="isTemplate">Whether it is the template.</param>
    /// <param name="ct">Cancels.</param>
    /// <returns>The last migration it has then; empty where there is none.</returns>
    public async Task<string> BuildAsync(
        PooledDataSource source,
        SchemaName schema,
        IReadOnlyList<MigrationScript> known,
        string comment,
        bool isTemplate,
        CancellationToken ct
    )
    {
        var hasSession = source.Row.Pooler != PoolerMode.Transaction;
        if (!hasSession)
        {
            MigrationStep.ThrowIfNotTransactional(known.SelectMany(s => s.Steps), source.Row);
        }

        await shared.EnsureAsync(source, ct).ConfigureAwait(false);
        var connection = await opening.OpenNewAsync(source, pooled: false, ct).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        var migration = new SchemaMigration(connection, schema, searchPath, time, hasSession, isTemplate: isTemplate);
        if (hasSession)
        {
            var plan = await PlanAsync().ConfigureAwait(false);
            await migration.ApplyAsync(plan.Pending, ct).ConfigureAwait(false);
            return plan.To ?? "";
        }

        var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var __ = transaction.ConfigureAwait(false);
        var all = await PlanAsync().ConfigureAwait(false);
        await migration.ApplyInTransactionAsync(all.Pending, ct).ConfigureAwait(false);
        await transaction.CommitAsync(ct).ConfigureAwait(false);
        return all.To ?? "";

        async Task<MigrationPlan> PlanAsync()
        {
            await migration.LockAsync(ct).ConfigureAwait(false);
            if (!(await SchemaContent.ReadAsync(connection, schema, ct).ConfigureAwait(false)).Exists)
            {
                await connection
                    .ExecuteAsync(
                        $"CREATE SCHEMA {schema.Quoted}; COMMENT ON SCHEMA {schema.Quoted} IS '{comment}'",
                        ct
                    )
                    .ConfigureAwait(false);
            }

            await migration.BindAsync(ct).ConfigureAwait(false);
            return await migration.PlanAsync(known, ct).ConfigureAwait(false);
        }
    }
}
