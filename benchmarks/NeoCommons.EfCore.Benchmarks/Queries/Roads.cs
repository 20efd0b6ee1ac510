using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>How callers come to a server.</summary>
internal static class Roads
{
    /// <summary>Half of a millisecond there, and as much back.</summary>
    public static readonly TimeSpan OneWay = TimeSpan.FromMilliseconds(0.5);

    /// <summary>A row that leads to a server by another address.</summary>
    public static DatabaseConnection At(string host, int port, PostgresServer server) =>
        MemoryRegistry.RowOf(server) with
        {
            Host = host,
            Port = port,
        };

    /// <summary>A pooler that hands the server's sessions from transaction to transaction.</summary>
    public static async Task<PgBouncerServer> PoolAsync(PostgresServer server)
    {
        await using (var prepare = NpgsqlDataSource.Create(server.ConnectionString))
        {
            // Behind a pooler an unbound session must lead nowhere.
            await using var command = prepare.CreateCommand(
                $"ALTER ROLE \"{server.Username}\" IN DATABASE postgres SET search_path = neocommons_no_tenant"
            );
            await command.ExecuteNonQueryAsync();
        }

        return await PgBouncerServer.StartAsync(server, new() { Settings = { ["default_pool_size"] = "40" } });
    }
}
