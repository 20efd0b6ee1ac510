using System.Diagnostics;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks;

/// <summary>The limit: PostgreSQL's own client, which does nothing but send what stands in a file.</summary>
internal static class Psql
{
    public static async Task RunAsync(PostgresServer server, string database, string file)
    {
        var start = new ProcessStartInfo(
            "psql",
            [
                "-h",
                server.Host,
                "-p",
                $"{server.Port}",
                "-U",
                server.Username,
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-f",
                file,
                database,
            ]
        )
        {
            Environment = { ["PGPASSWORD"] = server.Password },
        };
        using var psql = Process.Start(start)!;
        await psql.WaitForExitAsync();
        if (psql.ExitCode != 0)
        {
            throw new InvalidOperationException($"psql ended with {psql.ExitCode}.");
        }
    }
}
