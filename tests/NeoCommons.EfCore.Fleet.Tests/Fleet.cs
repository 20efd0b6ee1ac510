using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Fleet.Tests;

/// <summary>A server with an admin database and tenants' schemas, and processes that migrate them.</summary>
internal sealed class Fleet : IAsyncDisposable
{
    /// <summary>What each migration has added once.</summary>
    public const int Counted = 111_111;

    // Built beside these tests, in the same configuration.
    private static readonly string RunnerPath = Path.Combine(
        AppContext.BaseDirectory.Replace("NeoCommons.EfCore.Fleet.Tests", "FleetRunner", StringComparison.Ordinal),
        "FleetRunner.dll"
    );

    private readonly PostgresServer _server;
    private readonly string _admin;
    private readonly string _database;
    private readonly string _key;

    private Fleet(PostgresServer server, string admin, string database, string key) =>
        (_server, _admin, _database, _key) = (server, admin, database, key);

    public PostgresServer Server => _server;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static async Task<Fleet> StartAsync()
    {
        var server = await PostgresServer.StartAsync(ct: Ct);
        var fleet = new Fleet(
            server,
            await server.CreateDatabaseAsync(ct: Ct),
            await server.CreateDatabaseAsync(ct: Ct),
            Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)).Replace('+', '-').Replace('/', '_')
        );
        await fleet.RegisterAsync();
        return fleet;
    }

    /// <summary>Makes so many tenants with an empty schema each; those of before are gone.</summary>
    public async Task BeginAsync(int tenants)
    {
        await AdminAsync("TRUNCATE admin.migration_runs, admin.tenant_migrations, admin.tenants");
        await AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) "
                + "SELECT 't' || to_char(i, 'FM0000'), 't', 'tenant_t' || to_char(i, 'FM0000'), c.id "
                + $"FROM generate_series(1, {tenants}) AS i, admin.database_connections c"
        );
        await TenantsAsync(
            $$"""
            DO $$ BEGIN FOR i IN 1..{{tenants}} LOOP
                EXECUTE format('DROP SCHEMA IF EXISTS tenant_t%s CASCADE', to_char(i, 'FM0000'));
                EXECUTE format('CREATE SCHEMA tenant_t%s', to_char(i, 'FM0000'));
            END LOOP; END $$
            """
        );
    }

    /// <summary>Starts a process that migrates all tenants.</summary>
    public Runner Run()
    {
        var start = new ProcessStartInfo("dotnet", [RunnerPath])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment =
            {
                ["ADMIN_DATABASE_URL"] = _server.GetConnectionString(_admin),
                ["DB_ENCRYPTION_KEY"] = _key,
            },
        };
        return new Runner(Process.Start(start)!);
    }

    public async Task<long> DoneAsync() =>
        (long)(await AdminAsync("SELECT count(*) FROM admin.tenant_migrations WHERE state = 'done'"))!;

    /// <summary>Ends every session that is migrating, as an administrator or the kernel might.</summary>
    public Task KillBackendsAsync() =>
        TenantsAsync(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        );

    /// <summary>SIGKILL for the server and all of its processes: nothing of it has the time to write anything.</summary>
    public async Task KillServerAsync()
    {
        var file = (string)(await AdminAsync("SELECT pg_read_file('postmaster.pid')"))!;
        var postmaster = int.Parse(file.Split('\n')[0], CultureInfo.InvariantCulture);
        using var server = Process.GetProcessById(postmaster);
        var children = Process.GetProcesses().Where(p => ParentOf(p.Id) == postmaster).ToList();
        server.Kill();
        foreach (var child in children)
        {
            using (child)
            {
                child.Kill();
                await child.WaitForExitAsync(Ct);
            }
        }

        await server.WaitForExitAsync(Ct);
    }

    /// <summary>Every schema is as a migration that nothing disturbed leaves it, and nothing is anywhere else.</summary>
    public async Task AssertWholeAsync(int tenants)
    {
        var sum = new System.Text.StringBuilder();
        for (var i = 1; i <= tenants; i++)
        {
            sum.Append(i == 1 ? "" : " UNION ALL ").Append($"SELECT n FROM tenant_t{i:0000}.counter");
        }

        Assert.Equal($"{Counted}", await TenantsAsync($"SELECT string_agg(DISTINCT n::text, ',') FROM ({sum}) c"));
        Assert.Single((await CatalogsAsync(tenants)).Distinct());
        Assert.Equal(
            0L,
            await TenantsAsync("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        );
        Assert.Equal(0L, await TenantsAsync("SELECT count(*) FROM pg_class WHERE relname LIKE '\\_\\_NeoCommons%'"));
        Assert.Equal(0L, await TenantsAsync("SELECT count(*) FROM pg_index WHERE NOT indisvalid"));
        Assert.Equal(
            (long)tenants,
            await AdminAsync(
                "SELECT count(*) FROM admin.tenants WHERE schema_version = '20260105000000_Unindex' AND migrating_until IS NULL"
            )
        );
    }

    private async Task<IReadOnlyList<string>> CatalogsAsync(int tenants)
    {
        await using var connection = new NpgsqlConnection(_server.GetConnectionString(_database) + ";Pooling=false");
        await connection.OpenAsync(Ct);
        var catalogs = new List<string>();
        for (var i = 1; i <= tenants; i++)
        {
            await using var transaction = await connection.BeginTransactionAsync(Ct);
            var objects = await SchemaCatalog.ReadAsync(connection, SchemaName.Parse($"tenant_t{i:0000}"), Ct);

            catalogs.Add(string.Join('\n', objects.Select(o => $"{o} {o.Definition}")));
        }

        return catalogs;
    }

    public async Task<object?> AdminAsync(string sql) => await ScalarAsync(_admin, sql);

    public async Task<object?> TenantsAsync(string sql) => await ScalarAsync(_database, sql);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    // The fourth field, after the command in brackets; 0 for a process that has just ended.
    private static int ParentOf(int process)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{process}/stat");
            return int.Parse(
                stat[(stat.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
                CultureInfo.InvariantCulture
            );
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private async Task<object?> ScalarAsync(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(_server.GetConnectionString(database) + ";Pooling=false");
        await connection.OpenAsync(Ct);
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        return await command.ExecuteScalarAsync(Ct);
    }

    private async Task RegisterAsync()
    {
        var settings = new Dictionary<string, string?>
        {
            ["ADMIN_DATABASE_URL"] = _server.GetConnectionString(_admin),
            ["DB_ENCRYPTION_KEY"] = _key,
        };
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddNeoCommons(new ConfigurationBuilder().AddInMemoryCollection(settings).Build()).UseAdminDatabase();
        await using var provider = services.BuildServiceProvider();
        await provider.MigrateAdminDatabaseAsync(Ct);
        await using var context = await provider
            .GetRequiredService<IDbContextFactory<AdminDbContext>>()
            .CreateDbContextAsync(Ct);
        context.DatabaseConnections.Add(
            new DatabaseConnectionEntity
            {
                ConnectionName = "db1",
                Host = _server.Host,
                Port = _server.Port,
                DatabaseName = _database,
                Username = _server.Username,
                EncryptedPassword = await provider
                    .GetRequiredService<ISecretProtector>()
                    .ProtectAsync(
                        _server.Password,
                        new SecretTarget(_server.Host, _server.Port, _database, _server.Username),
                        Ct
                    ),
                SslMode = SslMode.Disable,
            }
        );
        await context.SaveChangesAsync(Ct);
    }
}
