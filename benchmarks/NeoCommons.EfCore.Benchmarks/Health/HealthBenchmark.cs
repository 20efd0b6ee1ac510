using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using NeoCommons.EfCore.Admin;
using NeoCommons.EfCore.AspNetCore;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Health;

/// <summary>How long <c>/health</c> takes over HTTP, with many connections in the registry and many tenants.</summary>
internal static class HealthBenchmark
{
    private const int Rows = 1_000;
    private const int Databases = 20;
    private const int Budget = Rows + 100;
    private const double Goal = 5;

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        var (tenants, requests, used) = quick ? (10_000, 30, 100) : (100_000, 400, Rows);
        await using var server = await PostgresServer.StartAsync(new() { MaxConnections = Budget + 100 });
        await using var app = await StartAsync(server, tenants);
        var connections = app.Services.GetRequiredService<IDatabaseConnections>();
        using var client = new HttpClient { BaseAddress = new Uri(app.Urls.Single()) };
        await report.WriteLineAsync(
            $"{Rows:N0} rows in admin.database_connections, of {Databases} databases of one server that has {Budget:N0} connections for us, one for each row, {tenants:N0} tenants; "
                + $"{requests:N0} requests over HTTP, one after the other, each answered by all checks of the library: connections, pools, "
                + "registry, migrations. The goal is of the median. Statements are those that the server counted meanwhile: the monitor looks "
                + "at each connection in use every 10 s, and callers read."
        );
        await UseAsync(connections, 0, Databases);
        await WriteAsync($"{Databases} connections in use");
        await UseAsync(connections, Databases, used);
        await WriteAsync($"{used:N0} connections in use");
        await using (HealthReaders.Start(connections, Databases))
        {
            await WriteAsync($"{used:N0} connections in use, {HealthReaders.Count} callers read meanwhile");
        }

        async Task WriteAsync(string meanwhile)
        {
            // All of them have been looked at.
            await connections.CheckAsync();
            await report.WriteLineAsync();
            await report.WriteLineAsync(
                $"| {meanwhile} | median, ms (goal: {Goal:0}) | p99, ms (no goal) | answer, kB | statements |"
            );
            await report.WriteLineAsync("|---|---|---|---|---|");
            foreach (
                var (name, path) in new[]
                {
                    ("`/health`, JSON of all connections", "/health"),
                    ("`/ready`, status only", "/ready"),
                    ("`/live`, which asks no check", "/live"),
                }
            )
            {
                await MeasureAsync(client, path, requests);
                var before = await StatementsAsync(server);
                var (times, bytes) = await MeasureAsync(client, path, requests);
                var statements = await StatementsAsync(server) - before;
                var median = Numbers.Median(times);
                await report.WriteLineAsync(
                    Numbers.Text(
                        $"| {name} | {median:0.00}{(median > Goal ? " MISSED" : "")} | {times[times.Count * 99 / 100]:0.00} | {bytes / 1024.0:0.0} | {statements} |"
                    )
                );
            }
        }
    }

    // Each once, and so each has one connection, which the monitor's looks are through.
    private static Task UseAsync(IDatabaseConnections connections, int from, int to) =>
        Parallel.ForEachAsync(
            Enumerable.Range(from, to - from),
            new ParallelOptions { MaxDegreeOfParallelism = 8 },
            async (i, ct) =>
            {
                await using var connection = await connections.OpenConnectionAsync($"row{i}", ct);
            }
        );

    private static async Task<(IReadOnlyList<double> Sorted, long Bytes)> MeasureAsync(
        HttpClient client,
        string path,
        int requests
    )
    {
        var times = new List<double>(requests);
        var bytes = 0L;
        for (var i = 0; i < requests; i++)
        {
            var watch = Stopwatch.StartNew();
            using var answer = await client.GetAsync(new Uri(path, UriKind.Relative));
            bytes = (await answer.Content.ReadAsByteArrayAsync()).Length;
            times.Add(watch.Elapsed.TotalMilliseconds);
        }

        times.Sort();
        return (times, bytes);
    }

    // Of the databases whose connections are checked.
    private static async Task<long> StatementsAsync(PostgresServer server)
    {
        await using var connection = new NpgsqlConnection(server.ConnectionString + ";Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            "SELECT sum(xact_commit + xact_rollback)::bigint FROM pg_stat_database WHERE datname LIKE 'health%'",
            connection
        );
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private static async Task<WebApplication> StartAsync(PostgresServer server, int tenants)
    {
        var admin = await server.CreateDatabaseAsync();
        for (var i = 0; i < Databases; i++)
        {
            await using var connection = new NpgsqlConnection(server.ConnectionString + ";Pooling=false");
            await connection.OpenAsync();
            await using var create = new NpgsqlCommand($"CREATE DATABASE health{i}", connection);
            await create.ExecuteNonQueryAsync();
        }

        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration.AddInMemoryCollection(
            new Dictionary<string, string?>
            {
                ["ADMIN_DATABASE_URL"] = server.GetConnectionString(admin),
                ["DB_ENCRYPTION_KEY"] = EncryptionKey.New(),
                // Others use the server too: sessions that are ended are still there for a moment.
                ["NeoCommons:Connections:ServerBudget"] = $"{Budget}",
            }
        );
        builder.Services.AddNeoCommons(builder.Configuration).UseAdminDatabase();
        builder.Services.AddHealthChecks().AddNeoCommons();
        var app = builder.Build();
        app.MapHealthChecks("/health", new() { ResponseWriter = NeoCommonsHealthResponse.WriteAsync });
        app.MapHealthChecks("/ready", new() { Predicate = check => check.Tags.Contains("ready") });
        app.MapHealthChecks("/live", new() { Predicate = check => check.Tags.Contains("live") });
        await app.Services.MigrateAdminDatabaseAsync();
        await FillAsync(app.Services, server, tenants);
        await app.StartAsync();
        return app;
    }

    private static async Task FillAsync(IServiceProvider services, PostgresServer server, int tenants)
    {
        var protector = services.GetRequiredService<ISecretProtector>();
        await using var context = await services
            .GetRequiredService<IDbContextFactory<AdminDbContext>>()
            .CreateDbContextAsync();

        // A thousand databases of 7 MB are more than such a machine need have.
        await context.Database.ExecuteSqlAsync($"DROP INDEX admin.ux_database_connections_physical_database");
        for (var i = 0; i < Rows; i++)
        {
            var database = $"health{i % Databases}";
            context.DatabaseConnections.Add(
                new DatabaseConnectionEntity
                {
                    ConnectionName = $"row{i}",
                    Host = server.Host,
                    Port = server.Port,
                    DatabaseName = database,
                    Username = server.Username,
                    EncryptedPassword = await protector.ProtectAsync(
                        server.Password,
                        new SecretTarget(server.Host, server.Port, database, server.Username)
                    ),
                    SslMode = SslMode.Disable,
                    PoolMinSize = 0,
                }
            );
        }

        await context.SaveChangesAsync();
        await context.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO admin.tenants (id, slug, name, schema_name, connection_id)
            SELECT gen_random_uuid(), 't' || i, 't' || i, 'tenant_t' || i, (SELECT id FROM admin.database_connections LIMIT 1)
            FROM generate_series(1, {tenants}) i
            """
        );
    }
}
