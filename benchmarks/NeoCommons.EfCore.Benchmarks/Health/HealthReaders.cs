using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Health;

/// <summary>Callers who open a connection, read and close, one time after the other.</summary>
internal sealed class HealthReaders : IAsyncDisposable
{
    public const int Count = 16;

    private readonly CancellationTokenSource _over = new();
    private readonly Task _reading;

    private HealthReaders(IDatabaseConnections connections, int rows)
    {
        _reading = Task.WhenAll(
            Enumerable.Range(0, Count).Select(i => Task.Run(() => ReadAsync(connections, rows, new Random(i))))
        );
    }

    /// <summary>Begins.</summary>
    /// <param name="connections">What they open.</param>
    /// <param name="rows">Of how many rows, at random.</param>
    public static HealthReaders Start(IDatabaseConnections connections, int rows) => new(connections, rows);

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await _reading;
        _over.Dispose();
    }

    private async Task ReadAsync(IDatabaseConnections connections, int rows, Random random)
    {
        while (!_over.IsCancellationRequested)
        {
            await using var connection = await connections.OpenConnectionAsync($"row{random.Next(rows)}");
            await using var command = new NpgsqlCommand("SELECT relname FROM pg_class LIMIT 20", connection);
            await using var reader = await command.ExecuteReaderAsync();
            while (await reader.ReadAsync())
            {
                // What it says does not matter.
            }
        }
    }
}
