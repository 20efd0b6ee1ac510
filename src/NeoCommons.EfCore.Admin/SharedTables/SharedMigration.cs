using System.Runtime.CompilerServices;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Brings the shared tables of one database up to date; processes that do it together take turns.</summary>
/// <remarks>
/// All of it is one transaction on an unpooled connection, schema included, under the schema's advisory lock; where a
/// migration suppresses its transaction, as few as that allows. A newer version's database is left alone.
/// </remarks>
internal sealed class SharedMigration
{
    private readonly TenantDataSources _sources;
    private readonly SearchPath _searchPath;
    private readonly ConnectionOpening _opening;
    private readonly TimeProvider _time;
    private readonly ILogger<SharedMigration> _log;
    private readonly SchemaName _schema;
    private readonly bool _isNeeded;
    private readonly Lazy<IReadOnlyList<MigrationScript>> _scripts;

    // The pools whose database this process has brought up to date: its migrations do not change while it runs.
    private readonly ConditionalWeakTable<PooledDataSource, object> _done = [];

    public SharedMigration(
        IServiceProvider services,
        IEnumerable<SharedDbContextType> contexts,
        TenantDataSources sources,
        SearchPath searchPath,
        ConnectionOpening opening,
        IOptions<ConnectionOptions> options,
        IOptions<SchemaNaming> naming,
        TimeProvider time,
        ILogger<SharedMigration> log
    )
    {
        _sources = sources;
        _searchPath = searchPath;
        _opening = opening;
        _time = time;
        _log = log;
        _schema = SchemaName.Parse(naming.Value.Shared);
        _isNeeded = contexts.Any();
        var rules = new MigrationRules(options.Value, ofSharedContexts: true);

        // A failure is not remembered: the model is fixed, but what made it fail may pass.
        _scripts = new(() => MigrationScript.Merge(contexts.Select(Generate)), LazyThreadSafetyMode.PublicationOnly);

        MigrationScript Generate(SharedDbContextType type)
        {
            using var scope = services.CreateScope();
            using var context = type.CreateUnbound(scope.ServiceProvider);
            return MigrationScript.Of(context, rules);
        }
    }

    /// <summary>Generates the migrations: what is wrong with them is wrong for every database.</summary>
    /// <exception cref="InvalidOperationException">The migrations are refused.</exception>
    public void ThrowIfRefused() => _ = _scripts.Value;

    /// <summary>Migrates the shared tables behind a registered connection; does nothing where no context has any.</summary>
    /// <exception cref="ConnectionNotFoundException">The connection is not registered.</exception>
    /// <exception cref="ConnectionUnavailableException">The connection cannot be used.</exception>
    /// <exception cref="InvalidOperationException">The migrations are refused.</exception>
    /// <exception cref="PostgresException">A migration failed; nothing was changed.</exception>
    public async Task<SharedMigrationResult> MigrateAsync(string connectionName, CancellationToken ct)
    {
        if (!_isNeeded)
        {
            return new SharedMigrationResult(connectionName, null, null, [], IsAhead: false);
        }

        var source = await _sources.AcquireAsync(connectionName, ct).ConfigureAwait(false);
        try
        {
            return await MigrateAsync(source, ct).ConfigureAwait(false);
        }
        finally
        {
            source.Release();
        }
    }

    /// <summary>Migrates the shared tables, unless this process has done so; call it under a lease.</summary>
    /// <inheritdoc cref="MigrateAsync(string, CancellationToken)"/>
    public async Task EnsureAsync(PooledDataSource source, CancellationToken ct)
    {
        if (_isNeeded && !_done.TryGetValue(source, out _))
        {
            await MigrateAsync(source, ct).ConfigureAwait(false);
        }
    }

    private async Task<SharedMigrationResult> MigrateAsync(PooledDataSource source, CancellationToken ct)
    {
        using var apart = AmbientTransaction.Suppress();
        var scripts = _scripts.Value;
        var connection = await _opening.OpenNewAsync(source, pooled: false, ct).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        var plan = await MigrateAsync(connection, source.Row, scripts, ct).ConfigureAwait(false);
        _done.AddOrUpdate(source, this);
        await TypeReload.TryAsync(source, plan.Pending, _log, ct).ConfigureAwait(false);
        if (plan.Pending.Count > 0)
        {
            AdminLogMessages.SharedMigrated(_log, source.Row.Name, plan.From ?? "nothing", plan.To!);
        }

        return new SharedMigrationResult(
            source.Row.Name,
            plan.From,
            plan.To,
            [.. plan.Pending.Select(s => s.Id)],
            plan.IsAhead
        );
    }

    private async Task<MigrationPlan> MigrateAsync(
        NpgsqlConnection connection,
        DatabaseConnection row,
        IReadOnlyList<MigrationScript> scripts,
        CancellationToken ct
    )
    {
        var hasSession = row.Pooler != PoolerMode.Transaction;
        var run = new SchemaMigration(
            connection,
            _schema,
            _searchPath,
            _time,
            hasSession,
            new MigrateAllOptions().LockTimeout,
            isShared: true
        );
        if (hasSession)
        {
            await run.LockAsync(ct).ConfigureAwait(false);
        }

        MigrationPlan plan;
        var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            if (!hasSession)
            {
                await run.LockAsync(ct).ConfigureAwait(false);
            }

            await CreateSchemaAsync(connection, ct).ConfigureAwait(false);
            await run.BindAsync(ct).ConfigureAwait(false);
            plan = await run.PlanAsync(scripts, ct).ConfigureAwait(false);
            if (plan.Pending.All(step => step.Statements.All(s => s.IsTransactional)))
            {
                await run.ApplyInTransactionAsync(plan.Pending, ct).ConfigureAwait(false);
                await transaction.CommitAsync(ct).ConfigureAwait(false);
                return plan;
            }

            if (!hasSession)
            {
                MigrationStep.ThrowIfNotTransactional(plan.Pending, row);
            }

            await transaction.CommitAsync(ct).ConfigureAwait(false);
        }

        await run.ApplyAsync(plan.Pending, ct).ConfigureAwait(false);
        return plan;
    }

    // Not IF NOT EXISTS alone: that asks for the right to create schemas even where there is nothing to create. Nor
    // to_regnamespace: a transaction that has waited for another's would not know of the schema that was made meanwhile.
    private async Task CreateSchemaAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        var exists = new NpgsqlCommand(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)",
            connection
        )
        {
            Parameters = { new() { Value = _schema.Value } },
        };
        await using var _ = exists.ConfigureAwait(false);
        if (await exists.ExecuteScalarAsync(ct).ConfigureAwait(false) is true)
        {
            return;
        }

        await connection.ExecuteAsync($"CREATE SCHEMA IF NOT EXISTS {_schema.Quoted}", ct).ConfigureAwait(false);
    }
}
