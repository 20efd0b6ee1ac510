using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Makes and migrates the schema that tenants are copied from.</summary>
internal sealed class TemplateRefresh(
    TenantPlaces places,
    ConnectionOpening opening,
    TenantMigrationScripts scripts,
    SearchPath searchPath,
    IOptions<SchemaNaming> naming,
    TimeProvider time
)
{
    public async Task RefreshAsync(string connectionName, CancellationToken ct)
    {
        ArgumentException.ThrowIfNullOrEmpty(connectionName);
        var template = naming.Value.Resolve(SchemaKind.Template);
        var known = scripts.All;
        using var apart = AmbientTransaction.Suppress();
        var source = await places.AcquireAsync(connectionName, ct).ConfigureAwait(false);
        try
        {
            var hasSession = source.Row.Pooler != PoolerMode.Transaction;
            if (!hasSession)
            {
                MigrationStep.ThrowIfNotTransactional(known.SelectMany(s => s.Steps), source.Row);
            }

            var connection = await opening.OpenNewAsync(source, pooled: false, ct).ConfigureAwait(false);
            await using var _ = connection.ConfigureAwait(false);
            var migration = new SchemaMigration(connection, template, searchPath, time, hasSession, isTemplate: true);
            if (hasSession)
            {
                await migration.LockAsync(ct).ConfigureAwait(false);
                await CreateAsync(connection, template, ct).ConfigureAwait(false);
                await migration.BindAsync(ct).ConfigureAwait(false);
                var plan = await migration.PlanAsync(known, ct).ConfigureAwait(false);
                await migration.ApplyAsync(plan.Pending, ct).ConfigureAwait(false);
                return;
            }

            var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
            await using var __ = transaction.ConfigureAwait(false);
            await migration.LockAsync(ct).ConfigureAwait(false);
            await CreateAsync(connection, template, ct).ConfigureAwait(false);
            await migration.BindAsync(ct).ConfigureAwait(false);
            var all = await migration.PlanAsync(known, ct).ConfigureAwait(false);
            await migration.ApplyInTransactionAsync(all.Pending, ct).ConfigureAwait(false);
            await transaction.CommitAsync(ct).ConfigureAwait(false);
        }
        finally
        {
            source.Release();
        }
    }

    private static async Task CreateAsync(NpgsqlConnection connection, SchemaName template, CancellationToken ct)
    {
        var command = new NpgsqlCommand($"CREATE SCHEMA IF NOT EXISTS {template.Quoted}", connection);
        await using var _ = command.ConfigureAwait(false);
        await command.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }
}
