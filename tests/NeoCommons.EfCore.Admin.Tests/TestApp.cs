using System.Security.Cryptography;
using System.Text;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Admin.Tests.TenantMigrations;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests;

/// <summary>An application as a user would write it: host, admin database of its own, registered databases, contexts.</summary>
public sealed class TestApp : IAsyncDisposable
{
    private readonly OperatorSessions _operator = new();

    private readonly IReadOnlyList<string> _databases;

    private TestApp(
        IHost host,
        PostgresServer server,
        string adminDatabase,
        IReadOnlyList<string> connections,
        IReadOnlyList<string> databases
    )
    {
        _databases = [adminDatabase, .. databases];
        Host = host;
        Server = server;
        AdminConnectionString = server.GetConnectionString(adminDatabase);
        Connections = connections;
    }

    public IHost Host { get; }
    public PostgresServer Server { get; }
    public string AdminConnectionString { get; }
    public IReadOnlyList<string> Connections { get; }

    /// <summary>Whether another application has a use for its databases.</summary>
    public bool KeepsDatabases { get; set; }

    public IServiceProvider Services => Host.Services;
    public ITenantDbContextFactory<ShopDbContext> Shop => Get<ITenantDbContextFactory<ShopDbContext>>();
    public ITenantProvisioner Provisioner => Get<ITenantProvisioner>();
    public ITenantMigrator Migrator => Get<ITenantMigrator>();
    public IDatabaseConnections Databases => Get<IDatabaseConnections>();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>Starts an application with this many databases besides the admin one: <c>db1</c>, <c>db2</c>, ...</summary>
    public static async Task<TestApp> StartAsync(
        PostgresServer server,
        int databases = 1,
        IReadOnlyDictionary<string, string?>? settings = null,
        Action<NeoCommonsBuilder>? configure = null
    )
    {
        var admin = await AdminTemplate.CopyAsync(server, Ct);
        var host = BuildHost(server, admin, settings, configure ?? (b => b.AddTenantDbContext<ShopDbContext>()));
        var (names, made) = (new List<string>(), new List<string>());
        for (var i = 1; i <= databases; i++)
        {
            names.Add($"db{i}");
            made.Add(await server.CreateDatabaseAsync(ct: Ct));
            await RegisterAsync(host.Services, server, names[^1], made[^1]);
        }

        await host.StartAsync(Ct);
        return new TestApp(host, server, admin, names, made);
    }

    public static string NewKey() =>
        Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)).Replace('+', '-').Replace('/', '_');

    public static IHost BuildHost(
        PostgresServer server,
        string adminDatabase,
        IReadOnlyDictionary<string, string?>? settings = null,
        Action<NeoCommonsBuilder>? configure = null
    )
    {
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Configuration.AddInMemoryCollection(
            new Dictionary<string, string?>
            {
                ["ADMIN_DATABASE_URL"] = server.GetConnectionString(adminDatabase),
                ["DB_ENCRYPTION_KEY"] = NewKey(),
            }
        );
        builder.Configuration.AddInMemoryCollection(settings ?? new Dictionary<string, string?>());
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        var neo = builder.Services.AddNeoCommons(builder.Configuration).UseAdminDatabase();
        configure?.Invoke(neo);
        AllowManyKindsOfContexts(builder.Services);
        builder.Services.AddHealthChecks().AddNeoCommons();
        return builder.Build();
    }

    public static async Task RegisterAsync(
        IServiceProvider services,
        PostgresServer server,
        string name,
        string database,
        Action<DatabaseConnectionEntity>? change = null
    )
    {
        var row = new DatabaseConnectionEntity
        {
            ConnectionName = name,
            Host = server.Host,
            Port = server.Port,
            DatabaseName = database,
            Username = server.Username,
            EncryptedPassword = await PlainTokenAsync(services, server.Password),
            SslMode = SslMode.Disable,
            PoolMinSize = 0,
        };
        change?.Invoke(row);
        await using var context = await services
            .GetRequiredService<IDbContextFactory<AdminDbContext>>()
            .CreateDbContextAsync(Ct);
        context.DatabaseConnections.Add(row);
        await context.SaveChangesAsync(Ct);
    }

    /// <summary>
    /// A token as Python writes it, bound to no database: rows of tests are moved by plain SQL. Rows with bound ones come from
    /// <c>connections add</c>.
    /// </summary>
    public static async Task<string> PlainTokenAsync(IServiceProvider services, string password) =>
        services.GetRequiredService<ISecretProtector>() is FernetSecretProtector
            ? Fernet.Encrypt(
                (await services.GetRequiredService<EncryptionKeys>().GetAsync(Ct)).Primary,
                Encoding.UTF8.GetBytes(password),
                DateTimeOffset.UtcNow
            )
            : await services
                .GetRequiredService<ISecretProtector>()
                .ProtectAsync(password, new SecretTarget("any", 1, "any", "any"), Ct);

    // EF refuses the twenty-first kind of context in a process, and these tests have more kinds than an application.
    private static void AllowManyKindsOfContexts(IServiceCollection services)
    {
        var all = services.Where(s =>
            s is { IsKeyedService: false, ImplementationFactory: not null, ServiceType.IsGenericType: true }
            && s.ServiceType.GetGenericTypeDefinition() == typeof(DbContextOptions<>)
        );
        foreach (var options in all.ToList())
        {
            services.Remove(options);
            services.Add(new ServiceDescriptor(options.ServiceType, Quiet, options.Lifetime));

            object Quiet(IServiceProvider provider)
            {
                var made = (DbContextOptions)options.ImplementationFactory!(provider);
                var core = made.FindExtension<CoreOptionsExtension>() ?? new CoreOptionsExtension();
                return made.WithExtension(
                    core.WithWarningsConfiguration(
                        core.WarningsConfiguration.WithExplicit(
                            [CoreEventId.ManyServiceProvidersCreatedWarning],
                            WarningBehavior.Ignore
                        )
                    )
                );
            }
        }
    }

    public T Get<T>()
        where T : notnull => Services.GetRequiredService<T>();

    public Task<Tenant> CreateTenantAsync(string slug, string? connection = null) =>
        Provisioner.CreateAsync(
            new NewTenant
            {
                Slug = slug,
                Name = slug,
                ConnectionName = connection ?? Connections[0],
            },
            Ct
        );

    /// <summary>Tenants with an empty schema in the first database, as an operator would add them by hand.</summary>
    public async Task<IReadOnlyList<Tenant>> AdoptAsync(params string[] slugs)
    {
        var tenants = new List<Tenant>();
        foreach (var slug in slugs)
        {
            await DirectAsync("db1", $"CREATE SCHEMA \"tenant_{slug}\"");
            await AdminAsync(
                "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) "
                    + $"SELECT '{slug}', '{slug}', 'tenant_{slug}', id FROM admin.database_connections WHERE connection_name = 'db1'"
            );
            tenants.Add((await Get<ITenantStore>().FindBySlugAsync(slug, Ct))!);
        }

        return tenants;
    }

    /// <summary>So many of them: <c>t0001</c>, <c>t0002</c>, ...</summary>
    public async Task AdoptManyAsync(int count, string connection = "db1")
    {
        await DirectAsync(
            connection,
            $"DO $$ BEGIN FOR i IN 1..{count} LOOP EXECUTE format('CREATE SCHEMA tenant_t%s', to_char(i, 'FM0000')); END LOOP; END $$"
        );
        await AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) "
                + "SELECT 't' || to_char(i, 'FM0000'), 't', 'tenant_t' || to_char(i, 'FM0000'), c.id "
                + $"FROM generate_series(1, {count}) AS i, admin.database_connections c WHERE connection_name = '{connection}'"
        );
    }

    internal Task<IReadOnlyList<TenantMigrationResult>> MigrateAllAsync(MigrateAllOptions? options = null) =>
        MigrationReports.MigrateAllAsync(Services, options);

    public Task ReloadAsync() => Get<IRegistryReload>().ReloadAsync(Ct);

    /// <summary>Executes plain SQL in the admin database, as an operator would.</summary>
    public Task<object?> AdminAsync(string sql) => _operator.ExecuteAsync(AdminConnectionString, sql, Ct);

    /// <summary>Executes plain SQL in a registered database, beside the library.</summary>
    public async Task<object?> DirectAsync(string connectionName, string sql)
    {
        var database = (string?)
            await AdminAsync(
                $"SELECT database_name FROM admin.database_connections WHERE connection_name = '{connectionName}'"
            );
        return await _operator.ExecuteAsync(Server.GetConnectionString(database!), sql, Ct);
    }

    public async ValueTask DisposeAsync()
    {
        await Host.StopAsync(CancellationToken.None);
        if (Host is IAsyncDisposable disposable)
        {
            await disposable.DisposeAsync();
        }

        await _operator.DisposeAsync();
        if (!KeepsDatabases)
        {
            await UsedDatabases.DropAsync(Server, _databases);
        }
    }
}
