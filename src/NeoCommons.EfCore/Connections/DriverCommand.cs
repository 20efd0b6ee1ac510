using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>What is done with an open connection in either way: without a thread, or without waiting for anything.</summary>
internal static class DriverCommand
{
    /// <summary>Executes SQL.</summary>
    /// <param name="open">The connection.</param>
    /// <param name="sql">The SQL.</param>
    /// <param name="timeout">How long it may take, in whole seconds; null: as the driver says.</param>
    /// <param name="async">Whether to wait without a thread.</param>
    /// <param name="ct">Cancels.</param>
    public static async ValueTask ExecuteAsync(
        NpgsqlConnection open,
        string sql,
        TimeSpan? timeout,
        bool async,
        CancellationToken ct
    )
    {
        var command = open.CreateCommand();
        await using var _ = command.ConfigureAwait(false);
        command.CommandText = sql;
        if (timeout is { } time)
        {
            command.CommandTimeout = (int)time.TotalSeconds;
        }

        if (async)
        {
            await command.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
        }
        else
        {
            command.ExecuteNonQuery();
        }
    }

    /// <summary>Closes it.</summary>
    public static Task CloseAsync(NpgsqlConnection open, bool async)
    {
        if (async)
        {
            return open.CloseAsync();
        }

        open.Close();
        return Task.CompletedTask;
    }
}
