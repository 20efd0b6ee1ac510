using Microsoft.EntityFrameworkCore.Infrastructure;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Executes migrations on one connection for one schema, and makes sure beforehand that it is that schema.</summary>
/// <remarks>
/// For one run: what it knows of the histories is not undone by a rollback. Without a session, behind a transaction pooler
/// that is, all of the run lies in one transaction, which the caller has begun before the lock.
/// </remarks>
internal sealed class SchemaMigration(
    NpgsqlConnection connection,
    SchemaName schema,
    SearchPath searchPath,
    TimeProvider time,
    bool hasSession,
    bool isTemplate = false
)
{
    private static readonly string EfVersion = ProductInfo.GetVersion();

    private readonly HashSet<HistoryTable> _histories = [];

    /// <summary>The advisory lock of a schema.</summary>
    public static string LockKeyOf(SchemaName schema) => "neocommons.migrate:" + schema.Value;

    /// <summary>Waits for the schema's lock, which other migrations and the creation of the schema take too.</summary>
    /// <remarks>The lock is the session's: it ends with the connection, which therefore must not be a pooled one.</remarks>
    public Task LockAsync(CancellationToken ct)
    {
        var key = LockKeyOf(schema);
        return hasSession
            ? AdvisoryLock.AcquireAsync(connection, key, time, ct)
            : AdvisoryLock.AcquireForTransactionAsync(connection, key, time, ct);
    }

    /// <summary>Binds the session to the schema, or the transaction.</summary>
    /// <exception cref="TenantIsolationException">The schema does not exist, so unqualified names would lead elsewhere.</exception>
    public async Task BindAsync(CancellationToken ct)
    {
        var command = new NpgsqlCommand(
            searchPath.BindTo(schema, inTransaction: !hasSession, isTemplate) + "; SELECT current_schema()",
            connection
        );
        await using var _ = command.ConfigureAwait(false);
        var current = await command.ExecuteScalarAsync(ct).ConfigureAwait(false) as string;
        if (current != schema.Value)
        {
            throw new TenantIsolationException(
                $"Schema '{schema}' does not exist in database '{connection.Database}', or its role may not use it: objects "
                    + $"would be created in {(current is null ? "no schema" : $"'{current}'")} instead, so nothing was "
                    + "done. Create the tenant with ITenantProvisioner, or correct schema_name in admin.tenants."
            );
        }
    }

    /// <summary>Compares the scripts with the schema's histories; changes nothing.</summary>
    public async Task<MigrationPlan> PlanAsync(IEnumerable<MigrationScript> scripts, CancellationToken ct)
    {
        var applied = new List<string>();
        var pending = new List<MigrationStep>();
        var ahead = false;
        foreach (var script in scripts)
        {
            var history = await ReadHistoryAsync(script.History, ct).ConfigureAwait(false);
            applied.AddRange(history);

            // What is unknown and older was squashed or removed; only what is newer than all we know says "ahead".
            var last = script.Steps is [.., var step] ? step.Id : null;
            ahead |= history
                .Except(script.Steps.Select(s => s.Id), StringComparer.Ordinal)
                .Any(id => string.CompareOrdinal(id, last) > 0);
            pending.AddRange(script.Steps.ExceptBy(history, s => s.Id, StringComparer.Ordinal));
        }

        return new MigrationPlan(applied, ahead ? [] : pending, ahead);
    }

    /// <summary>Executes the steps inside the transaction that the caller has begun.</summary>
    public async Task ApplyInTransactionAsync(IEnumerable<MigrationStep> steps, CancellationToken ct)
    {
        foreach (var step in steps)
        {
            await BindAsync(ct).ConfigureAwait(false);
            foreach (var statement in step.Statements)
            {
                await ExecuteAsync(statement.Sql, ct).ConfigureAwait(false);
            }

            await RecordAsync(step, ct).ConfigureAwait(false);
        }
    }

    /// <summary>Executes the steps in as few transactions as their statements allow: one, as a rule.</summary>
    public async Task ApplyAsync(IEnumerable<MigrationStep> steps, CancellationToken ct)
    {
        NpgsqlTransaction? transaction = null;
        try
        {
            foreach (var step in steps)
            {
                // The step before may have left another search path, as a pasted dump does.
                await BindAsync(ct).ConfigureAwait(false);
                foreach (var statement in step.Statements)
                {
                    if (statement.IsTransactional)
                    {
                        transaction ??= await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
                    }
                    else if (transaction is not null)
                    {
                        await transaction.CommitAsync(ct).ConfigureAwait(false);
                        transaction = null;
                    }

                    await ExecuteAsync(statement.Sql, ct).ConfigureAwait(false);
                }

                transaction ??= await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
                await RecordAsync(step, ct).ConfigureAwait(false);
            }

            if (transaction is not null)
            {
                await transaction.CommitAsync(ct).ConfigureAwait(false);
            }
        }
        finally
        {
            if (transaction is not null)
            {
                await transaction.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    private async Task<IReadOnlyList<string>> ReadHistoryAsync(HistoryTable history, CancellationToken ct)
    {
        var ids = new List<string>();
        var exists = new NpgsqlCommand(history.ExistsSql, connection)
        {
            Parameters = { new() { Value = schema.Quoted } },
        };
        await using var _ = exists.ConfigureAwait(false);
        if (await exists.ExecuteScalarAsync(ct).ConfigureAwait(false) is not true)
        {
            return ids;
        }

        _histories.Add(history);
        var command = new NpgsqlCommand(history.SelectSql(schema), connection);
        await using var __ = command.ConfigureAwait(false);
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var ___ = reader.ConfigureAwait(false);
        while (await reader.ReadAsync(ct).ConfigureAwait(false))
        {
            ids.Add(reader.GetString(0));
        }

        return ids;
    }

    private async Task RecordAsync(MigrationStep step, CancellationToken ct)
    {
        if (_histories.Add(step.History))
        {
            await ExecuteAsync(step.History.CreateSql(schema), ct).ConfigureAwait(false);
        }

        var command = new NpgsqlCommand(step.History.InsertSql(schema), connection)
        {
            Parameters =
            {
                new() { Value = step.Id },
                new() { Value = EfVersion },
            },
        };
        await using var _ = command.ConfigureAwait(false);
        await command.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }

    // No command timeout: a large table takes as long as it takes, and the token ends it.
    private async Task ExecuteAsync(string sql, CancellationToken ct)
    {
        var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await using var _ = command.ConfigureAwait(false);
        await command.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }
}
