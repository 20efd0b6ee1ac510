using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>A migration with statements that no transaction may hold, such as CREATE INDEX CONCURRENTLY.</summary>
/// <remarks>
/// How far it got is a row in a table of the schema, written in the same transaction as the statements before it, and
/// gone when the migration is recorded: killed anywhere, it goes on there. The statement that was under way then is
/// begun again, unless it turns out to have been finished; an index that it left invalid is dropped first.
/// </remarks>
internal sealed class SuppressedStep(
    SchemaMigration migration,
    NpgsqlConnection connection,
    SchemaName schema,
    MigrationStep step
)
{
    private readonly string _progress = $"{schema.Quoted}.\"__NeoCommonsMigrationProgress\"";

    public async Task RunAsync(CancellationToken ct)
    {
        var found = await ReadProgressAsync(ct).ConfigureAwait(false);
        var (next, wasBegun) = found ?? (0, false);
        if (found is null)
        {
            await InTransactionAsync(
                    [
                        $"CREATE TABLE IF NOT EXISTS {_progress} (migration text PRIMARY KEY, statements int NOT NULL, begun boolean NOT NULL)",
                        $"INSERT INTO {_progress} VALUES ({Id}, 0, false)",
                    ],
                    ct
                )
                .ConfigureAwait(false);
        }

        while (true)
        {
            var together = step.Statements.Skip(next).TakeWhile(s => s.IsTransactional).Select(s => s.Sql).ToList();
            wasBegun &= together.Count == 0;
            next += together.Count;
            if (next == step.Statements.Count)
            {
                await InTransactionAsync([.. together, .. migration.Record(step), .. Forget()], ct)
                    .ConfigureAwait(false);
                return;
            }

            await InTransactionAsync([.. together, Reached(next, begun: true)], ct).ConfigureAwait(false);
            await AloneAsync(next, wasBegun, ct).ConfigureAwait(false);
            wasBegun = false;
            next++;
        }
    }

    private string Id => $"'{step.Id.Replace("'", "''", StringComparison.Ordinal)}'";

    private string Reached(int statements, bool begun) =>
        FormattableString.Invariant(
            $"UPDATE {_progress} SET statements = {statements}, begun = {begun} WHERE migration = {Id}"
        );

    private IEnumerable<string> Forget() =>
        [
            $"DELETE FROM {_progress} WHERE migration = {Id}",
            $"DO $neo$ BEGIN IF NOT EXISTS (SELECT FROM {_progress}) THEN DROP TABLE {_progress}; END IF; END $neo$",
        ];

    private async Task AloneAsync(int number, bool wasBegun, CancellationToken ct)
    {
        var statement = new LoneStatement(step.Statements[number].Sql);
        if (statement.Index is { } index)
        {
            var isValid = await IsValidAsync(index, ct).ConfigureAwait(false);
            if (isValid is true && wasBegun)
            {
                return;
            }

            if (isValid is false)
            {
                await StatementAsync($"DROP INDEX CONCURRENTLY {schema.Quoted}.{index}", ct).ConfigureAwait(false);
            }
        }

        try
        {
            await StatementAsync(step.Statements[number].Sql, ct).ConfigureAwait(false);
        }
        catch (PostgresException e) when (wasBegun && IsDoneAlready(statement, e.SqlState))
        {
            // It was finished, and whoever did so was killed before the next statement was begun.
        }
        catch (PostgresException e) when (!e.SqlState.StartsWith("57", StringComparison.Ordinal))
        {
            // The server has said no: what is found there next time was not made by this statement.
            await InTransactionAsync([Reached(number, begun: false)], ct).ConfigureAwait(false);
            throw;
        }
    }

    // What exists may be an index that is not valid: of those, only what was looked at before is known to be done.
    private static bool IsDoneAlready(LoneStatement statement, string state) =>
        statement.IsDropping
            ? state is PostgresErrorCodes.UndefinedObject or PostgresErrorCodes.UndefinedTable
            : !statement.BuildsIndex
                && state
                    is PostgresErrorCodes.DuplicateObject
                        or PostgresErrorCodes.DuplicateTable
                        or PostgresErrorCodes.DuplicateColumn;

    private async Task<(int Statements, bool Begun)?> ReadProgressAsync(CancellationToken ct)
    {
        var exists = new NpgsqlCommand("SELECT to_regclass($1) IS NOT NULL", connection)
        {
            Parameters = { new() { Value = _progress } },
        };
        await using var _ = exists.ConfigureAwait(false);
        if (await exists.ExecuteScalarAsync(ct).ConfigureAwait(false) is not true)
        {
            return null;
        }

        var read = new NpgsqlCommand($"SELECT statements, begun FROM {_progress} WHERE migration = {Id}", connection);
        await using var __ = read.ConfigureAwait(false);
        var reader = await read.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var ___ = reader.ConfigureAwait(false);
        return await reader.ReadAsync(ct).ConfigureAwait(false) ? (reader.GetInt32(0), reader.GetBoolean(1)) : null;
    }

    private async Task<bool?> IsValidAsync(string index, CancellationToken ct)
    {
        var command = new NpgsqlCommand(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)",
            connection
        )
        {
            Parameters = { new() { Value = schema.Quoted + "." + index } },
        };
        await using var _ = command.ConfigureAwait(false);
        return await command.ExecuteScalarAsync(ct).ConfigureAwait(false) as bool?;
    }

    private async Task InTransactionAsync(IEnumerable<string> statements, CancellationToken ct)
    {
        var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var _ = transaction.ConfigureAwait(false);
        await migration.ExecuteAsync(step, statements, ct).ConfigureAwait(false);
        await transaction.CommitAsync(ct).ConfigureAwait(false);
    }

    /// <summary>
    /// One statement that is to be a transaction of its own, so it travels alone. It waits for other transactions as long
    /// as they last: that is how an index is built concurrently.
    /// </summary>
    private async Task StatementAsync(string sql, CancellationToken ct)
    {
        await migration.BindAsync(ct).ConfigureAwait(false);
        await connection.ExecuteAsync("SET lock_timeout = 0", ct).ConfigureAwait(false);
        try
        {
            await connection.ExecuteAsync(sql, ct, timeout: 0).ConfigureAwait(false);
        }
        catch (PostgresException e)
        {
            e.Data["Migration"] = step.Id;
            throw;
        }
    }
}
