using System.Globalization;
using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Testing;

namespace WebSample.Demo;

/// <summary>
/// Two throwaway PostgreSQL servers, so that one can be stopped while the tenants of the other go on. They and their data
/// are gone when the application ends.
/// </summary>
internal sealed class DemoServers : IAsyncDisposable
{
    private readonly PostgresServer _eu;
    private readonly PostgresServer _us;

    private DemoServers(PostgresServer eu, PostgresServer us)
    {
        _eu = eu;
        _us = us;
        ByConnection = new Dictionary<string, PostgresServer>(StringComparer.Ordinal)
        {
            ["shop-eu"] = eu,
            ["shop-us"] = us,
        };
    }

    /// <summary>The server of each connection. The one of <c>shop-eu</c> holds the admin database, too.</summary>
    public IReadOnlyDictionary<string, PostgresServer> ByConnection { get; }

    /// <summary>What a shell executes so that commands reach the demo; null where the servers are not throwaway ones.</summary>
    public string? Exports { get; private set; }

    /// <summary>
    /// Starts the servers and tells the configuration about them: in Development, unless <c>ADMIN_DATABASE_URL</c> is
    /// set. <c>dotnet ef</c> starts none, nor does a command: it would not reach those of a running demo, which says
    /// how to.
    /// </summary>
    public static async Task<DemoServers?> StartAsync(WebApplicationBuilder builder, string[] args)
    {
        var configuration = builder.Configuration;
        if (
            EF.IsDesignTime
            || !builder.Environment.IsDevelopment()
            || !string.IsNullOrWhiteSpace(configuration["ADMIN_DATABASE_URL"])
            || NeoCommonsHostExtensions.IsNeoCommonsCommand(args)
        )
        {
            return null;
        }

        Console.WriteLine("Starting two throwaway PostgreSQL servers ...");
        var starting = new[] { PostgresServer.StartAsync(), PostgresServer.StartAsync() };
        try
        {
            var servers = new DemoServers(await starting[0], await starting[1]);
            var address = configuration["ADMIN_DATABASE_URL"] = await servers.CreateAdminDatabaseAsync();
            var exports = $"export ADMIN_DATABASE_URL='{address}'";
            if (string.IsNullOrWhiteSpace(configuration["DB_ENCRYPTION_KEY"]))
            {
                var key = configuration["DB_ENCRYPTION_KEY"] = NewKey();
                exports += $" DB_ENCRYPTION_KEY='{key}'";
            }

            // A server of somebody else's has a password that is worth something.
            servers.Exports = servers._eu.Source == ServerSource.External ? null : exports;

            builder.Services.AddSingleton(_ => servers);
            return servers;
        }
        catch
        {
            await Task.WhenAll(starting).ContinueWith(_ => { }, TaskScheduler.Default);
            foreach (var server in starting.Where(s => s.IsCompletedSuccessfully))
            {
                await (await server).DisposeAsync();
            }

            throw;
        }
    }

    /// <summary>How to stop the server of a connection from a shell; null where it is not running, or not ours.</summary>
    public string? StopCommand(string connection)
    {
        // The first line is the server's process id. SIGINT is what pg_ctl sends for "stop -m fast", which root may not run.
        var file = Path.Combine(ByConnection[connection].DataDirectory ?? "", "postmaster.pid");
        return File.Exists(file)
            ? string.Create(CultureInfo.InvariantCulture, $"kill -INT {File.ReadLines(file).First()}")
            : null;
    }

    public async ValueTask DisposeAsync()
    {
        await _us.DisposeAsync();
        await _eu.DisposeAsync();
    }

    /// <summary>A Fernet key: 32 random bytes in base64url.</summary>
    private static string NewKey() =>
        Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)).Replace('+', '-').Replace('/', '_');

    private async Task<string> CreateAdminDatabaseAsync() => _eu.GetConnectionString(await _eu.CreateDatabaseAsync());
}
