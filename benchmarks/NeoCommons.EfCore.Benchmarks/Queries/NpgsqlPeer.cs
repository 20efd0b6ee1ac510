using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>The driver alone.</summary>
/// <param name="name">Its name.</param>
/// <param name="source">Where its connections come from.</param>
/// <param name="tableOf">A tenant's table.</param>
/// <param name="prepares">Whether it prepares each statement, which the connection keeps.</param>
internal sealed class NpgsqlPeer(string name, NpgsqlDataSource source, Func<int, string> tableOf, bool prepares = false)
    : Peer(name)
{
    public override async Task ReadAsync(int tenant, int id)
    {
        await using var connection = await source.OpenConnectionAsync();
        await ReadAsync(connection, null, $"SELECT id, name, price FROM {tableOf(tenant)} WHERE id = $1 LIMIT 1", id);
    }

    public override async Task ListAsync(int tenant)
    {
        await using var connection = await source.OpenConnectionAsync();
        await ReadAsync(connection, null, $"SELECT id, name, price FROM {tableOf(tenant)} ORDER BY id LIMIT $1", 50);
    }

    public override async Task InsertAsync(int tenant, int count)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var batch = new NpgsqlBatch(connection);
        for (var i = 0; i < count; i++)
        {
            batch.BatchCommands.Add(
                new($"INSERT INTO {tableOf(tenant)} (name, price) VALUES ($1, $2) RETURNING id")
                {
                    Parameters =
                    {
                        new() { Value = "new" },
                        new() { Value = (decimal)i },
                    },
                }
            );
        }

        if (prepares)
        {
            await batch.PrepareAsync();
        }

        await using var reader = await batch.ExecuteReaderAsync();
        do
        {
            while (await reader.ReadAsync())
            {
                _ = reader.GetInt32(0);
            }
        } while (await reader.NextResultAsync());
    }

    public override async Task UpdateAsync(int tenant, int id)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        var table = tableOf(tenant);
        await ReadAsync(connection, transaction, $"SELECT id, name, price FROM {table} WHERE id = $1", id);
        await WriteAsync(connection, transaction, table, id);
        await using var count = await CommandAsync(
            connection,
            transaction,
            $"SELECT count(*) FROM {table} WHERE id <= $1",
            id
        );
        await count.ExecuteScalarAsync();
        await transaction.CommitAsync();
    }

    public override async Task RequestAsync(int tenant, int id)
    {
        await using var connection = await source.OpenConnectionAsync();
        var table = tableOf(tenant);
        await ReadAsync(connection, null, $"SELECT id, name, price FROM {table} WHERE id = $1", id);
        await ReadAsync(
            connection,
            null,
            $"SELECT id, name, price FROM {table} WHERE id > $1 ORDER BY id LIMIT 20",
            id
        );
        await WriteAsync(connection, null, table, id);
    }

    public override async Task<long> CountPreparedAsync()
    {
        await using var command = source.CreateCommand(Prepared);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private async Task WriteAsync(NpgsqlConnection connection, NpgsqlTransaction? transaction, string table, int id)
    {
        await using var write = await CommandAsync(
            connection,
            transaction,
            $"UPDATE {table} SET price = price + 1 WHERE id = $1",
            id
        );
        await write.ExecuteNonQueryAsync();
    }

    private async Task ReadAsync(NpgsqlConnection connection, NpgsqlTransaction? transaction, string sql, int parameter)
    {
        await using var command = await CommandAsync(connection, transaction, sql, parameter);
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            _ = new Product
            {
                Id = reader.GetInt32(0),
                Name = reader.GetString(1),
                Price = reader.GetDecimal(2),
            };
        }
    }

    private async Task<NpgsqlCommand> CommandAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction? transaction,
        string sql,
        int parameter
    )
    {
        var command = new NpgsqlCommand(sql, connection, transaction) { Parameters = { new() { Value = parameter } } };
        if (prepares)
        {
            await command.PrepareAsync();
        }

        return command;
    }
}
