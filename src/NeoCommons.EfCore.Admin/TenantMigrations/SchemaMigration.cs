using Microsoft.EntityFrameworkCore.Infrastructure;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Executes migrations on one connection for one schema, and makes sure beforehand that it is that schema.</summary>
internal sealed class SchemaMigration(NpgsqlConnection connection, SchemaName schema, SearchPath searchPath)
{
    private static readonly string EfVersion = ProductInfo.GetVersion();

    /// <summary>Binds the session to the schema, waits for its lock, and checks that unqualified names lead there.</summary>
    /// <remarks>The lock is the session's: it ends with the connection, which therefore must not be a pooled one.</remarks>
    public async Task BeginAsync(CancellationToken ct)
    {
        await LockAsync(ct).ConfigureAwait(false);
        await BindAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Waits for the schema's lock, which other migrations and the creation of the schema take too.</summary>
    public async Task LockAsync(CancellationToken ct)
    {
        var command = new NpgsqlCommand(
            "SELECT pg_advisory_lock(hashtextextended('neocommons.migrate:' || $1, 0))",
            connection
        )
        {
            CommandTimeout = 0,
            Parameters = { new() { Value = schema.Value } },
        };
        await using var _ = command.ConfigureAwait(false);
        await command.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Binds the session to the schema.</summary>
    /// <exception cref="TenantIsolationException">The schema does not exist, so unqualified names would lead elsewhere.</exception>
    public async Task BindAsync(CancellationToken ct)
    {
        await ExecuteAsync(searchPath.BindTo(schema), ct).ConfigureAwait(false);
        var command = new NpgsqlCommand("SELECT current_schema()", connection);
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

    /// <summary>The migrations that are applied, in order; creates the history if it is missing.</summary>
    public async Task<IReadOnlyList<string>> ReadHistoryAsync(HistoryTable history, CancellationToken ct)
    {
        await ExecuteAsync(history.CreateSql(schema), ct).ConfigureAwait(false);
        var command = new NpgsqlCommand(history.SelectSql(schema), connection);
        await using var _ = command.ConfigureAwait(false);
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        var ids = new List<string>();
        while (await reader.ReadAsync(ct).ConfigureAwait(false))
        {
            ids.Add(reader.GetString(0));
        }

        return ids;
    }

    /// <summary>Executes the steps inside the transaction that the caller has begun.</summary>
    public async Task ApplyInTransactionAsync(
        HistoryTable history,
        IEnumerable<MigrationStep> steps,
        CancellationToken ct
    )
    {
        foreach (var step in steps)
        {
            foreach (var statement in step.Statements)
            {
                await ExecuteAsync(statement.Sql, ct).ConfigureAwait(false);
            }

            await RecordAsync(history, step, ct).ConfigureAwait(false);
        }
    }

    /// <summary>Executes the steps in as few transactions as their statements allow: one, as a rule.</summary>
    public async Task ApplyAsync(HistoryTable history, IEnumerable<MigrationStep> steps, CancellationToken ct)
    {
        NpgsqlTransaction? transaction = null;
        try
        {
            foreach (var step in steps)
            {
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
                await RecordAsync(history, step, ct).ConfigureAwait(false);
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

    private async Task RecordAsync(HistoryTable history, MigrationStep step, CancellationToken ct)
    {
        var command = new NpgsqlCommand(history.InsertSql(schema), connection)
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
