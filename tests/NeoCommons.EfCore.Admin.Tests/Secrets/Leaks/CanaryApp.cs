using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NeoCommons.EfCore.Admin.Tests.Commands;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Testing;
using Npgsql;
using StackExchange.Redis;

namespace NeoCommons.EfCore.Admin.Tests.Secrets.Leaks;

/// <summary>An application all of whose secrets are canaries, with connections that work and such that fail in each way.</summary>
internal sealed class CanaryApp : IAsyncDisposable
{
    private readonly PostgresServer _server;
    private readonly bool _tellsAll;
    private readonly string _admin;
    private readonly RedisServer _redis;
    private readonly string _user = "canary_" + Guid.NewGuid().ToString("N")[..8];

    private CanaryApp(PostgresServer server, bool tellsAll, string admin, RedisServer redis, Canary password)
    {
        (_server, _tellsAll, _admin, _redis, Password) = (server, tellsAll, admin, redis, password);
        Host = Build(new Dictionary<string, string?>());
    }

    /// <summary>Hears all that is told from before the first service is made.</summary>
    public LeakRecorder Recorder { get; } = new();

    /// <summary>Names of connections that fail, each in its way.</summary>
    public static IReadOnlyList<string> Failing =>
        ["wrong", "metadata", "dead", "nodb", "otherkey", "copied", "clear", "nul"];

    public Canary Password { get; }

    public Canary WrongPassword { get; } = Canary.Password("wrong password");

    public Canary Key { get; } = Canary.Key("key");

    public Canary OldKey { get; } = Canary.Key("old key");

    public Canary OtherKey { get; } = Canary.Key("key of somebody else");

    public IHost Host { get; }

    public IServiceProvider Services => Host.Services;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>Starts it.</summary>
    /// <param name="server">The server.</param>
    /// <param name="tellsAll">Whether EF and the driver are told to log parameters too.</param>
    public static async Task<CanaryApp> StartAsync(PostgresServer server, bool tellsAll)
    {
        var password = Canary.Password("password");
        var redis = await RedisServer.StartAsync(new() { Password = password.Text }, Ct);
        var app = new CanaryApp(server, tellsAll, await server.CreateDatabaseAsync(ct: Ct), redis, password);

        await app.CreateRoleAsync();
        await app.Services.MigrateAdminDatabaseAsync(Ct);
        await app.RegisterAsync();
        await app.Host.StartAsync(Ct);
        return app;
    }

    /// <summary>The same application with other settings.</summary>
    public IHost Build(IReadOnlyDictionary<string, string?> settings)
    {
        var merged = new Dictionary<string, string?>
        {
            ["ADMIN_DATABASE_URL"] = AdminAddress(_server.Port),
            ["DB_ENCRYPTION_KEY"] = $"{Key.Text},{OldKey.Text}",
            ["NeoCommons:Lifecycle:Retention"] = "00:00:00",
            ["REDIS_URL"] = _redis.Url,
        };
        foreach (var (key, value) in settings)
        {
            merged[key] = value;
        }

        return TestApp.BuildHost(
            _server,
            _admin,
            merged,
            b =>
            {
                b.Services.AddSingleton<ILoggerProvider>(Recorder.Log);

                // By the recorder's name: a command quietens the others.
                var all = new LoggerFilterRule(typeof(LogRecorder).FullName, null, LogLevel.Trace, null);
                b.Services.Configure<LoggerFilterOptions>(o => o.Rules.Add(all));
                b.UseRedis()
                    .AddTenantDbContext<ShopDbContext>(o =>
                    {
                        if (_tellsAll)
                        {
                            o.EnableSensitiveDataLogging().EnableDetailedErrors();
                        }
                    });
                if (_tellsAll)
                {
                    b.ConfigureDataSources(s => s.EnableParameterLogging());
                }
            }
        );
    }

    public string AdminAddress(int port) =>
        $"postgresql://{_user}:{Uri.EscapeDataString(Password.Text)}@{_server.Host}:{port}/{_admin}?sslmode=disable";

    /// <summary>Executes SQL beside the library; a secret goes into a parameter, which nobody hears.</summary>
    public Task<object?> AdminAsync(string sql, string? parameter = null) =>
        DirectAsync(_server.GetConnectionString(_admin), sql, parameter);

    public async Task<IReadOnlyList<Canary>> TokensAsync()
    {
        var tokens = (string[])
            (await AdminAsync("SELECT array_agg(encrypted_password) FROM admin.database_connections"))!;
        return
        [
            .. tokens
                .Where(t => t.StartsWith("gAAAA", StringComparison.Ordinal))
                .Select((t, i) => Canary.Token($"token {i}", t)),
        ];
    }

    /// <summary>All that lies in Redis.</summary>
    public async Task<string> DumpRedisAsync()
    {
        var options = new ConfigurationOptions
        {
            EndPoints = { { _redis.Host, _redis.Port } },
            Password = Password.Text,
        };
        await using var redis = await ConnectionMultiplexer.ConnectAsync(options);
        var dump = new StringBuilder();
        foreach (var key in redis.GetServer(_redis.Host, _redis.Port).Keys())
        {
            dump.AppendLine($"{key}: {await redis.GetDatabase().HashGetAsync(key, "data")}");
        }

        return dump.ToString();
    }

    public CommandLine Line(string? input = null) => new(Services) { Input = (input ?? Password.Text) + "\n" };

    public string[] Address(string database) =>
        [
            "--host",
            _server.Host,
            "--port",
            $"{_server.Port}",
            "--database",
            database,
            "--username",
            _user,
            "--ssl-mode",
            "disable",
        ];

    public Task<string> NewDatabaseAsync() => _server.CreateDatabaseAsync(ct: Ct);

    public async ValueTask DisposeAsync()
    {
        await Host.StopAsync(CancellationToken.None);
        await ((IAsyncDisposable)Host).DisposeAsync();
        await _redis.DisposeAsync();
        Recorder.Dispose();
    }

    private async Task RegisterAsync()
    {
        foreach (var name in new[] { "db1", "db2" })
        {
            (await Line().RunAsync(["connections", "add", name, .. Address(await NewDatabaseAsync())])).IsOk();
        }

        var right = new SecretTarget(_server.Host, _server.Port, await NewDatabaseAsync(), _user);
        await InsertAsync("wrong", right, WrongPassword.Text);
        await InsertAsync("metadata", right with { Host = "169.254.169.254" }, Password.Text);
        await InsertAsync("dead", right with { Port = 1 }, Password.Text);
        await InsertAsync("nodb", right with { Database = "no_such_database" }, Password.Text);
        await InsertAsync("nul", right with { Database = "nul" }, Password.Text + "\0");
        await InsertAsync("otherkey", right with { Database = "otherkey" }, Password.Text, OtherKey.Text);
        await InsertAsync("oldkey", right with { Database = "oldkey" }, Password.Text, OldKey.Text);
        await InsertAsync("copied", right with { Database = "copied" }, "");
        await InsertAsync("clear", right with { Database = "clear" }, "");
        await AdminAsync(
            "UPDATE admin.database_connections SET encrypted_password = (SELECT encrypted_password FROM admin.database_connections "
                + "WHERE connection_name = 'db1') WHERE connection_name = 'copied'"
        );

        // An operator who does not know better.
        await AdminAsync(
            "UPDATE admin.database_connections SET encrypted_password = $1 WHERE connection_name = 'clear'",
            WrongPassword.Text
        );
        foreach (var name in Failing)
        {
            await AdminAsync(
                "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) "
                    + $"SELECT 't-{name}', 't', 'tenant_{name}', id FROM admin.database_connections WHERE connection_name = '{name}'"
            );
        }
    }

    private Task<object?> InsertAsync(string name, SecretTarget target, string password, string? key = null) =>
        AdminAsync(
            "INSERT INTO admin.database_connections (connection_name, host, port, database_name, username, encrypted_password, ssl_mode, "
                + $"pool_timeout_seconds) VALUES ('{name}', '{target.Host}', {target.Port}, '{target.Database}', '{target.Username}', "
                + "$1, 'disable', 5)",
            new FernetSecrets(FernetKeys.Parse(key ?? Key.Text), TimeProvider.System).Protect(password, target)
        );

    private async Task CreateRoleAsync()
    {
        await using var connection = new NpgsqlConnection(_server.ConnectionString + ";Pooling=false");
        await connection.OpenAsync(Ct);

        // Not as a literal, which the recorder would hear from us.
        await ExecuteAsync(connection, "SELECT set_config('canary.password', $1, false)", Password.Text);
        await ExecuteAsync(
            connection,
            "DO $$ BEGIN EXECUTE format("
                + $"'CREATE ROLE {_user} LOGIN SUPERUSER PASSWORD %L', current_setting('canary.password')); END $$"
        );
    }

    private static async Task<object?> DirectAsync(string connectionString, string sql, string? parameter = null)
    {
        await using var connection = new NpgsqlConnection(connectionString + ";Pooling=false");
        await connection.OpenAsync(Ct);
        return await ExecuteAsync(connection, sql, parameter);
    }

    private static async Task<object?> ExecuteAsync(NpgsqlConnection connection, string sql, string? parameter = null)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        if (parameter is not null)
        {
            command.Parameters.Add(new() { Value = parameter });
        }

        return await command.ExecuteScalarAsync(Ct);
    }
}
