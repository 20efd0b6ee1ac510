using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Statements without parameters or rows.</summary>
internal static class PlainStatement
{
    /// <summary>Executes one.</summary>
    /// <param name="connection">An open connection.</param>
    /// <param name="sql">The statement.</param>
    /// <param name="ct">Cancels.</param>
    /// <param name="timeout">In seconds; 0: none. <value>Default: null, the connection's own.</value></param>
    public static async Task ExecuteAsync(
        this NpgsqlConnection connection,
        string sql,
        CancellationToken ct,
        int? timeout = null
    )
    {
        var command = new NpgsqlCommand(sql, connection);
        await using var _ = command.ConfigureAwait(false);
        if (timeout is { } seconds)
        {
            command.CommandTimeout = seconds;
        }

        await command.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Executes several, in one message and so, outside of a transaction, in one of their own.</summary>
    /// <param name="connection">An open connection.</param>
    /// <param name="statements">The statements; none is fine.</param>
    /// <param name="ct">Cancels.</param>
    /// <param name="timeout">As for one.</param>
    public static async Task ExecuteAllAsync(
        this NpgsqlConnection connection,
        IEnumerable<string> statements,
        CancellationToken ct,
        int? timeout = null
    )
    {
        var batch = new NpgsqlBatch(connection);
        await using var _ = batch.ConfigureAwait(false);
        if (timeout is { } seconds)
        {
            batch.Timeout = seconds;
        }

        foreach (var sql in statements)
        {
            batch.BatchCommands.Add(new NpgsqlBatchCommand(sql));
        }

        if (batch.BatchCommands.Count > 0)
        {
            await batch.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
        }
    }
}
