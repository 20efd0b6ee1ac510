using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>A statement without parameters or rows.</summary>
internal static class PlainStatement
{
    /// <summary>Executes it.</summary>
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
}
