using Npgsql;
using NpgsqlTypes;

namespace NeoCommons.EfCore.Admin;

/// <summary>Statements with their values, one after the other in a batch.</summary>
internal static class BatchText
{
    /// <summary>Adds a statement; a null is one of type text, which PostgreSQL takes for most others.</summary>
    public static void Add(this NpgsqlBatch batch, string sql, params ReadOnlySpan<object?> values)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var value in values)
        {
            command.Parameters.Add(
                value is null
                    ? new NpgsqlParameter { Value = DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text }
                    : new NpgsqlParameter { Value = value }
            );
        }

        batch.BatchCommands.Add(command);
    }
}
