using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Admin;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Fleet;

/// <summary>An admin database and one of tenants, whose schemas are empty.</summary>
internal sealed class FleetApp : IAsyncDisposable
{
    private readonly ServiceProvider _services;
    private readonly PostgresServer _server;
    private readonly string _admin;

    private FleetApp(PostgresServer server, string admin, string database, ServiceProvider services) =>
        (_server, _admin, Database, _services) = (server, admin, database, services);

    public string Database { get; }

    public ITenantMigrator Migrator => _services.GetRequiredService<ITenantMigrator>();

    public static string SchemaOf(int tenant) => $"tenant_t{tenant:00000}";

    public ITenantStore Tenants => _services.GetRequiredService<ITenantStore>();

    public IConnectionRegistry Connections => _services.GetRequiredService<IConnectionRegistry>();

    public IDatabaseConnections Databases => _services.GetRequiredService<IDatabaseConnections>();

    public ITenantProvisioner Provisioner => _services.GetRequiredService<ITenantProvisioner>();

    public static async Task<FleetApp> StartAsync(
        PostgresServer server,
        int tenants,
        int warm = 0,
        TcpFaultProxy? adminProxy = null,
        bool collectsCommands = true
    )
    {
        var admin = await server.CreateDatabaseAsync();
        var database = await server.CreateDatabaseAsync();
        var services = new ServiceCollection();
        services.AddLogging();
        services
            .AddNeoCommons(
                new ConfigurationBuilder()
                    .AddInMemoryCollection(
                        new Dictionary<string, string?>
                        {
                            ["ADMIN_DATABASE_URL"] =
                                adminProxy?.GetConnectionString(server.GetConnectionString(admin))
                                ?? server.GetConnectionString(admin),
                            ["NeoCommons:WarmPool:Size"] = $"{warm}",
                            ["NeoCommons:Connections:CollectCommandMetrics"] = $"{collectsCommands}",
                            ["DB_ENCRYPTION_KEY"] = Convert
                                .ToBase64String(RandomNumberGenerator.GetBytes(32))
                                .Replace('+', '-')
                                .Replace('/', '_'),
                        }
                    )
                    .Build()
            )
            .UseAdminDatabase()
            .AddTenantDbContext<FleetContext>();
        var app = new FleetApp(server, admin, database, services.BuildServiceProvider());
        await app.ArrangeAsync(tenants);
        return app;
    }

    /// <summary>Sends the connection through a proxy, or wherever else.</summary>
    public async Task RedirectAsync(string host, int port)
    {
        // Not by plain SQL: its password is bound to where it leads.
        await using var context = await _services
            .GetRequiredService<IDbContextFactory<AdminDbContext>>()
            .CreateDbContextAsync();
        var row = await context.DatabaseConnections.SingleAsync();
        (row.Host, row.Port) = (host, port);
        await context.SaveChangesAsync();
    }

    public Task<Tenant> CreateAsync(string slug, TenantSource source) =>
        Provisioner.CreateAsync(
            new NewTenant
            {
                Slug = slug,
                Name = slug,
                ConnectionName = "db1",
                Source = source,
            }
        );

    /// <summary>Waits until so many schemas are ready, and sees to it that none is made after that.</summary>
    public async Task FillAsync(int warm)
    {
        if (warm == 0)
        {
            return;
        }

        var refill = _services.GetServices<IHostedService>().Single(s => s.GetType().Name == "WarmPoolRefill");
        await refill.StartAsync(CancellationToken.None);
        while (
            await ExecuteAsync(_admin, "SELECT count(*) FROM admin.warm_schemas WHERE schema_version IS NOT NULL")
                is not long ready
            || ready < warm
        )
        {
            await Task.Delay(100);
        }

        await refill.StopAsync(CancellationToken.None);
    }

    public Task ReloadAsync() => _services.GetRequiredService<IRegistryReload>().ReloadAsync();

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        NpgsqlConnection.ClearAllPools();
        await _server.DropDatabaseAsync(Database);
        await _server.DropDatabaseAsync(_admin);
    }

    private async Task ArrangeAsync(int tenants)
    {
        await _services.MigrateAdminDatabaseAsync();
        await using (
            var context = await _services.GetRequiredService<IDbContextFactory<AdminDbContext>>().CreateDbContextAsync()
        )
        {
            context.DatabaseConnections.Add(
                new DatabaseConnectionEntity
                {
                    ConnectionName = "db1",
                    Host = _server.Host,
                    Port = _server.Port,
                    DatabaseName = Database,
                    Username = _server.Username,
                    EncryptedPassword = await _services
                        .GetRequiredService<ISecretProtector>()
                        .ProtectAsync(
                            _server.Password,
                            new SecretTarget(_server.Host, _server.Port, Database, _server.Username)
                        ),
                    SslMode = SslMode.Disable,
                }
            );
            await context.SaveChangesAsync();
        }

        await ExecuteAsync(
            _admin,
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) "
                + "SELECT 't' || to_char(i, 'FM00000'), 't', 'tenant_t' || to_char(i, 'FM00000'), c.id "
                + $"FROM generate_series(1, {tenants}) AS i, admin.database_connections c"
        );
        await ExecuteAsync(
            Database,
            $"DO $$ BEGIN FOR i IN 1..{tenants} LOOP EXECUTE format('CREATE SCHEMA tenant_t%s', to_char(i, 'FM00000')); END LOOP; END $$"
        );
    }

    private async Task<object?> ExecuteAsync(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(_server.GetConnectionString(database) + ";Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        return await command.ExecuteScalarAsync();
    }
}
