using System.Security.Cryptography;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>A server that writes down who failed to log in: nobody else knows better.</summary>
public sealed class AuthenticationLog : IAsyncLifetime
{
    private const string File = "failures.log";

    public PostgresServer Postgres { get; private set; } = null!;

    /// <summary>How a server is started that writes it down.</summary>
    /// <param name="minimum">The least that it writes down.</param>
    public static PostgresServerOptions Options(string minimum = "fatal") =>
        new()
        {
            Settings =
            {
                ["logging_collector"] = "on",
                ["log_directory"] = "log",
                ["log_filename"] = File,
                ["log_min_messages"] = minimum,
            },
        };

    public async ValueTask InitializeAsync() =>
        Postgres = await PostgresServer.StartAsync(Options(), TestContext.Current.CancellationToken);

    public static string NewRole() => "role_" + RandomNumberGenerator.GetHexString(8, lowercase: true);

    /// <summary>How often the server has refused a role.</summary>
    public Task<int> CountAsync(string role) => CountAsync(Postgres, role);

    /// <summary>How often a server that was started with <see cref="Options"/> has refused a role.</summary>
    public static Task<int> CountAsync(PostgresServer server, string role) =>
        CountAsync(
            server,
            line =>
                line.Contains("FATAL", StringComparison.Ordinal)
                && line.Contains($"\"{role}\"", StringComparison.Ordinal)
        );

    /// <summary>How many lines of its log are such.</summary>
    public static async Task<int> CountAsync(PostgresServer server, Func<string, bool> isSuch)
    {
        Assert.SkipWhen(server.DataDirectory is null, "The log of this server cannot be read.");

        // What was logged before is in the file when this is.
        var mark = "mark_" + RandomNumberGenerator.GetHexString(8, lowercase: true);
        await Assert.ThrowsAsync<Npgsql.PostgresException>(async () =>
        {
            await using var connection = new Npgsql.NpgsqlConnection(
                new Npgsql.NpgsqlConnectionStringBuilder(server.ConnectionString)
                {
                    Username = mark,
                    Password = mark,
                    Pooling = false,
                }.ConnectionString
            );
            await connection.OpenAsync(TestContext.Current.CancellationToken);
        });
        string[] lines = [];
        await Eventually.TrueAsync(async () =>
        {
            lines = await ReadAsync(server);
            return lines.Any(line => line.Contains(mark, StringComparison.Ordinal));
        });
        return lines.Count(isSuch);
    }

    /// <summary>Its lines, as far as they are written.</summary>
    public static async Task<string[]> ReadAsync(PostgresServer server)
    {
        await using var log = new FileStream(
            Path.Combine(server.DataDirectory!, "log", File),
            FileMode.Open,
            FileAccess.Read,
            FileShare.ReadWrite
        );
        using var reader = new StreamReader(log);
        return (await reader.ReadToEndAsync(TestContext.Current.CancellationToken)).Split('\n');
    }

    public ValueTask DisposeAsync() => Postgres.DisposeAsync();
}
