using System.Collections.Concurrent;
using System.Security.Cryptography;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>The runtime package alone, over a registry and tenants in memory and databases of a real server.</summary>
internal sealed class RuntimeApp : IAsyncDisposable
{
    public const string Direct = "test-direct";

    private readonly PostgresServer _server;
    private readonly ServiceProvider _services;
    private readonly ConcurrentQueue<string> _databases = [];

    public RuntimeApp(
        PostgresServer server,
        IReadOnlyDictionary<string, string?>? settings = null,
        TimeProvider? time = null,
        Action<IServiceCollection>? configure = null,
        Action<NeoCommonsBuilder>? contexts = null
    )
    {
        _server = server;
        var services = new ServiceCollection();
        if (time is not null)
        {
            services.AddSingleton(time);
        }

        services.AddSingleton<IConnectionRegistry>(Registry);
        services.AddSingleton<ITenantStore>(Tenants);
        var builder = services.AddNeoCommons(
            new ConfigurationBuilder().AddInMemoryCollection(settings ?? new Dictionary<string, string?>()).Build()
        );
        (contexts ?? (b => b.AddTenantDbContext<ItemsContext>()))(builder);
        configure?.Invoke(services);
        _services = services.BuildServiceProvider();
    }

    public MemoryRegistry Registry { get; } = new();

    public MemoryTenantStore Tenants { get; } = new();

    public IServiceProvider Services => _services;

    public IDatabaseConnections Connections => _services.GetRequiredService<IDatabaseConnections>();

    public ITenantDbContextFactory<ItemsContext> Contexts =>
        _services.GetRequiredService<ITenantDbContextFactory<ItemsContext>>();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>A name that no other test uses: the driver's meter counts by name in the whole process.</summary>
    public static string NewName(string prefix = "db") => $"{prefix}-{RandomNumberGenerator.GetHexString(8, true)}";

    /// <summary>Creates a database and registers it.</summary>
    public async Task<DatabaseConnection> AddDatabaseAsync(Func<DatabaseConnection, DatabaseConnection>? change = null)
    {
        var row = await NewDatabaseAsync();
        row = change is null ? row : change(row);
        Registry.Set(row);
        return row;
    }

    /// <summary>Creates a database and returns the row that would register it.</summary>
    public async Task<DatabaseConnection> NewDatabaseAsync() =>
        new()
        {
            Name = NewName(),
            Host = _server.Host,
            Port = _server.Port,
            Database = await CreateDatabaseAsync(),
            Username = _server.Username,
            Password = Secret.FromText(_server.Password),
            SslMode = SslMode.Disable,
            MinPoolSize = 0,
        };

    private async Task<string> CreateDatabaseAsync()
    {
        var name = await _server.CreateDatabaseAsync(ct: Ct);
        _databases.Enqueue(name);
        return name;
    }

    /// <summary>Creates a schema whose table <c>items</c> holds one row with the tenant's slug, and the tenant.</summary>
    /// <param name="row">The database.</param>
    /// <param name="slug">The tenant's slug.</param>
    /// <param name="connectionName">The connection that the tenant has, where that is another row of the same database.</param>
    public async Task<Tenant> AddTenantAsync(DatabaseConnection row, string slug, string? connectionName = null)
    {
        var tenant = new Tenant
        {
            Id = new TenantId(Guid.NewGuid()),
            Slug = slug,
            Name = slug,
            Schema = SchemaName.Parse("tenant_" + slug),
            ConnectionName = connectionName ?? row.Name,
        };
        await DirectAsync(
            row,
            $"CREATE SCHEMA {tenant.Schema.Quoted}; CREATE TABLE {tenant.Schema.Quoted}.items (id int PRIMARY KEY, owner text NOT NULL);"
                + $"INSERT INTO {tenant.Schema.Quoted}.items VALUES (1, '{slug}')"
        );
        Tenants.Set(tenant);
        return tenant;
    }

    /// <summary>The pool of a connection.</summary>
    public async Task<PooledDataSource> AcquireAsync(string name)
    {
        var source = await _services.GetRequiredService<TenantDataSources>().AcquireAsync(name, Ct);
        source.Release();
        return source;
    }

    /// <summary>Executes SQL in the row's database as the superuser, beside the library.</summary>
    public async Task<object?> DirectAsync(DatabaseConnection row, string sql)
    {
        await using var connection = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(_server.GetConnectionString(row.Database))
            {
                Pooling = false,
                ApplicationName = Direct,
            }.ConnectionString
        );
        await connection.OpenAsync(Ct);
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(Ct);
    }

    /// <summary>The backends of the row's database that the library opened.</summary>
    public async Task<IReadOnlyList<Backend>> BackendsAsync(DatabaseConnection row)
    {
        await using var connection = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(_server.ConnectionString) { Pooling = false }.ConnectionString
        );
        await connection.OpenAsync(Ct);
        await using var command = new NpgsqlCommand(
            "SELECT pid, application_name, coalesce(state, '') FROM pg_stat_activity "
                + "WHERE datname = $1 AND backend_type = 'client backend' AND application_name <> $2 ORDER BY pid",
            connection
        );
        command.Parameters.Add(new() { Value = row.Database });
        command.Parameters.Add(new() { Value = Direct });
        await using var reader = await command.ExecuteReaderAsync(Ct);
        var found = new List<Backend>();
        while (await reader.ReadAsync(Ct))
        {
            found.Add(new Backend(reader.GetInt32(0), reader.GetString(1), reader.GetString(2)));
        }

        return found;
    }

    public async Task<int> CountBackendsAsync(DatabaseConnection row) => (await BackendsAsync(row)).Count;

    /// <summary>Ends the library's backends as an administrator or a failing server would, and waits until they are gone.</summary>
    public async Task KillBackendsAsync(DatabaseConnection row)
    {
        foreach (var backend in await BackendsAsync(row))
        {
            await DirectAsync(row, $"SELECT pg_terminate_backend({backend.Pid})");
        }

        await Eventually.EqualAsync(0, () => CountBackendsAsync(row));
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        await UsedDatabases.DropAsync(_server, _databases);
    }

    /// <summary>The server process behind an open connection.</summary>
    public static async Task<int> PidAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("SELECT pg_backend_pid()", connection);
        return (int)(await command.ExecuteScalarAsync(Ct))!;
    }
}
