using System.Collections.Concurrent;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests;

/// <summary>Plain SQL beside the library, in sessions that are kept: a new one for each statement is half of a test's time.</summary>
internal sealed class OperatorSessions : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, NpgsqlDataSource> _databases = new(StringComparer.Ordinal);

    public async Task<object?> ExecuteAsync(string connectionString, string sql, CancellationToken ct)
    {
        var source = _databases.GetOrAdd(connectionString, NpgsqlDataSource.Create);
        await using var connection = await OpenAsync(source, ct);
        await using var command = new NpgsqlCommand(sql, connection);
        var result = await command.ExecuteScalarAsync(ct);

        // As if the session had ended: a lock must not stay.
        await using var reset = new NpgsqlCommand("DISCARD ALL", connection);
        await reset.ExecuteNonQueryAsync(ct);
        return result;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var source in _databases.Values)
        {
            await source.DisposeAsync();
        }
    }

    // Tests end sessions and stop servers.
    private static async Task<NpgsqlConnection> OpenAsync(NpgsqlDataSource source, CancellationToken ct)
    {
        var connection = await source.OpenConnectionAsync(ct);
        try
        {
            await using var command = new NpgsqlCommand("SELECT", connection);
            await command.ExecuteNonQueryAsync(ct);
            return connection;
        }
        catch (NpgsqlException)
        {
            await connection.DisposeAsync();
            source.Clear();
            return await source.OpenConnectionAsync(ct);
        }
    }
}
