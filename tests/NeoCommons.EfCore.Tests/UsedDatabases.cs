using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Tests;

/// <summary>Databases that no test needs any more: a thousand of them are 7 GB.</summary>
internal static class UsedDatabases
{
    public static async Task DropAsync(PostgresServer server, IEnumerable<string> names)
    {
        try
        {
            foreach (var name in names)
            {
                await server.DropDatabaseAsync(name, CancellationToken.None);
            }
        }
        catch (NpgsqlException)
        {
            // A server that the test has stopped goes with its data.
        }
    }
}
