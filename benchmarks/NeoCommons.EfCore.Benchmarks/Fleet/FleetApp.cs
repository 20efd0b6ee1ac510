using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Admin;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Fleet;

/// <summary>An admin database on the first server, and one of tenants on each, whose schemas are empty.</summary>
internal sealed class FleetApp : IAsyncDisposable
{
    private readonly ServiceProvider _services;
    private readonly string _admin;

    private FleetApp(string admin, IReadOnlyList<FleetDatabase> databases, ServiceProvider services) =>
        (_admin, Databases, _services) = (admin, databases, services);

    /// <summary>The databases of tenants, <c>db1</c> first: tenants take turns.</summary>
    public IReadOnlyList<FleetDatabase> Databases { get; }

    /// <summary>The first of them.</summary>
    public string Database => Databases[0].Name;

    public ITenantMigrator Migrator => _services.GetRequiredService<ITenantMigrator>();

    public static string SchemaOf(int tenant) => $"tenant_t{tenant:00000}";

    private FleetDatabase Admin => new(Databases[0].Server, _admin);

    public ITenantStore Tenants => _services.GetRequiredService<ITenantStore>();

    public IConnectionRegistry Connections => _services.GetRequiredService<IConnectionRegistry>();

    public IDatabaseConnections DatabaseConnections => _services.GetRequiredService<IDatabaseConnections>();

    public ITenantProvisioner Provisioner => _services.GetRequiredService<ITenantProvisioner>();

    public static Task<FleetApp> StartAsync(
        PostgresServer server,
        int tenants,
        int warm = 0,
        TcpFaultProxy? adminProxy = null,
        bool collectsCommands = true
    ) => StartAsync([server], tenants, warm, adminProxy, collectsCommands);

    public static async Task<FleetApp> StartAsync(
        IReadOnlyList<PostgresServer> servers,
        int tenants,
        int warm = 0,
        TcpFaultProxy? adminProxy = null,
        bool collectsCommands = true
    )
    {
        var server = servers[0];
        var admin = await server.CreateDatabaseAsync();
        var databases = new List<FleetDatabase>();
        foreach (var one in servers)
        {
            databases.Add(new FleetDatabase(one, await one.CreateDatabaseAsync()));
        }

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
                            // Nothing is read again but what is asked for: without a host, nobody listens for changes.
                            ["NeoCommons:AdminDatabase:RefreshInterval"] = "01:00:00",
                            ["NeoCommons:WarmPool:Size"] = $"{warm}",
                            ["NeoCommons:Connections:CollectCommandMetrics"] = $"{collectsCommands}",
                            ["DB_ENCRYPTION_KEY"] = EncryptionKey.New(),
                        }
                    )
                    .Build()
            )
            .UseAdminDatabase()
            .AddTenantDbContext<FleetContext>();
        var app = new FleetApp(admin, databases, services.BuildServiceProvider());
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

    public Task<Tenant> CreateAsync(string slug, TenantSource source, int database = 1) =>
        Provisioner.CreateAsync(
            new NewTenant
            {
                Slug = slug,
                Name = slug,
                ConnectionName = $"db{database}",
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
            await ExecuteAsync(Admin, "SELECT count(*) FROM admin.warm_schemas WHERE schema_version IS NOT NULL")
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
        foreach (var database in Databases.Append(Admin))
        {
            // A database of 20,000 tables is 100,000 files: a busy disk takes a minute to delete them.
            await ExecuteAsync(
                new FleetDatabase(database.Server, "postgres"),
                $"DROP DATABASE IF EXISTS \"{database.Name}\" WITH (FORCE)"
            );
        }
    }

    /// <summary>Writes what others have left to write, so that nobody pays for whoever came before.</summary>
    public async Task SettleAsync()
    {
        foreach (var database in Databases)
        {
            await ExecuteAsync(database, "CHECKPOINT");
        }

        if (OperatingSystem.IsLinux())
        {
            using var sync = Process.Start("sync");
            await sync.WaitForExitAsync();
        }
    }

    private async Task ArrangeAsync(int tenants)
    {
        await _services.MigrateAdminDatabaseAsync();
        await using (
            var context = await _services.GetRequiredService<IDbContextFactory<AdminDbContext>>().CreateDbContextAsync()
        )
        {
            foreach (var (database, i) in Databases.Select((database, i) => (database, i)))
            {
                var server = database.Server;
                context.DatabaseConnections.Add(
                    new DatabaseConnectionEntity
                    {
                        ConnectionName = $"db{i + 1}",
                        Host = server.Host,
                        Port = server.Port,
                        DatabaseName = database.Name,
                        Username = server.Username,
                        EncryptedPassword = await _services
                            .GetRequiredService<ISecretProtector>()
                            .ProtectAsync(
                                server.Password,
                                new SecretTarget(server.Host, server.Port, database.Name, server.Username)
                            ),
                        SslMode = SslMode.Disable,

                        // A thousand tenants of twenty tables each, and those that come first, are more than the defaults allow.
                        MaxTenants = 10_000,
                        MaxRelations = 200_000,
                    }
                );
            }

            await context.SaveChangesAsync();
        }

        await ExecuteAsync(
            Admin,
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) "
                + "SELECT 't' || to_char(i, 'FM00000'), 't', 'tenant_t' || to_char(i, 'FM00000'), c.id "
                + $"FROM generate_series(1, {tenants}) AS i JOIN admin.database_connections c ON c.connection_name = 'db' || 1 + (i - 1) % {Databases.Count}"
        );
        for (var first = 1; first <= Databases.Count; first++)
        {
            await ExecuteAsync(
                Databases[first - 1],
                $"DO $$ BEGIN FOR i IN {first}..{tenants} BY {Databases.Count} LOOP EXECUTE format('CREATE SCHEMA tenant_t%s', to_char(i, 'FM00000')); END LOOP; END $$"
            );
        }
    }

    private static async Task<object?> ExecuteAsync(FleetDatabase database, string sql)
    {
        await using var connection = new NpgsqlConnection(database.ConnectionString + ";Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        return await command.ExecuteScalarAsync();
    }
}
