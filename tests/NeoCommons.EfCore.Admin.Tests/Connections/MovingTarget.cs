using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Connections;

/// <summary>
/// Two servers with the same tenant, each with a canary that names it, and two registered connections that an operator moves
/// between them: <c>db1</c>, which has the tenant, and <c>raw</c>, which can be deleted.
/// </summary>
internal sealed class MovingTarget : IAsyncDisposable
{
    private readonly PostgresServer[] _servers;
    private readonly Dictionary<string, string[]> _databases;
    private readonly string[] _roles;
    private readonly ConcurrentDictionary<string, Place> _places = [];

    private MovingTarget(
        TestApp app,
        PostgresServer[] servers,
        Dictionary<string, string[]> databases,
        string[] roles
    ) => (App, _servers, _databases, _roles) = (app, servers, databases, roles);

    public TestApp App { get; }

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static async Task<MovingTarget> StartAsync(PostgresServer first)
    {
        // The driver keeps a pool in memory until it has looked for idle connections the last time.
        var app = await TestApp.StartAsync(
            first,
            settings: new Dictionary<string, string?> { ["NeoCommons:Connections:PruningInterval"] = "00:00:01" }
        );
        var second = await PostgresServer.StartAsync(ct: Ct);
        await app.CreateTenantAsync("acme");
        var databases = new Dictionary<string, string[]>
        {
            ["db1"] =
            [
                (string)(await app.AdminAsync("SELECT database_name FROM admin.database_connections"))!,
                await second.CreateDatabaseAsync(ct: Ct),
            ],
            ["raw"] = [await first.CreateDatabaseAsync(ct: Ct), await second.CreateDatabaseAsync(ct: Ct)],
        };
        var roles = Enumerable.Range(0, 2).Select(_ => "app_" + RandomNumberGenerator.GetHexString(8, true)).ToArray();
        var target = new MovingTarget(app, [first, second], databases, roles);
        for (var server = 0; server < 2; server++)
        {
            foreach (var (name, names) in databases)
            {
                await target.ExecuteAsync(
                    server,
                    names[server],
                    "CREATE SCHEMA IF NOT EXISTS tenant_acme; CREATE TABLE IF NOT EXISTS tenant_acme.\"Products\" (\"Id\" int PRIMARY KEY, "
                        + "\"Sku\" text, \"Name\" text, \"Price\" numeric); "
                        + $"INSERT INTO tenant_acme.\"Products\" VALUES (1000, 'canary', '{server}', 1);"
                        + (
                            name == "db1"
                                ? string.Concat(
                                    roles.Select(role => $"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{role}';")
                                )
                                : ""
                        )
                );
            }
        }

        foreach (var name in databases.Keys)
        {
            target._places[name] = new Place(true, 0, 0, 4, "disable", true);
            await target.StoreAsync(name);
            await target.HeardAsync(name);
        }

        return target;
    }

    /// <summary>What a lease of this connection must find: the canary, or why there is none.</summary>
    public string Expected(string name) =>
        _places[name] switch
        {
            { Exists: false } => "deleted",
            { IsActive: false } => "inactive",
            { Server: var server } => server.ToString(CultureInfo.InvariantCulture),
        };

    /// <summary>Changes the row by plain SQL; each number is another kind of change.</summary>
    public async Task ChangeAsync(string name, int number)
    {
        var now = _places[name];
        if (now is { Exists: false } or { IsActive: false })
        {
            // Elsewhere than it was.
            _places[name] = now with
            {
                Exists = true,
                IsActive = true,
                Server = 1 - now.Server,
            };
        }
        else
        {
            _places[name] = (number % 6) switch
            {
                0 or 3 => now with { Server = 1 - now.Server },
                1 => now with { Role = 1 - now.Role },
                2 => now with { MaxPoolSize = 7 - now.MaxPoolSize },
                4 => now with { SslMode = now.SslMode == "disable" ? "prefer" : "disable" },
                _ when name == "raw" => now with { Exists = false },
                _ => now with { IsActive = false },
            };
        }

        await StoreAsync(name);
    }

    /// <summary>Waits until the process knows the row.</summary>
    public Task HeardAsync(string name)
    {
        var registry = App.Get<IConnectionRegistry>();
        var place = _places[name];
        return Eventually.TrueAsync(async () =>
            await registry.FindAsync(name, Ct) is { } row
                ? place.Exists
                    && row.IsActive == place.IsActive
                    && row.Database == _databases[name][place.Server]
                    && row.Username == _roles[place.Role]
                    && row.MaxPoolSize == place.MaxPoolSize
                    && row.SslMode.ToString().Equals(place.SslMode, StringComparison.OrdinalIgnoreCase)
                : !place.Exists
        );
    }

    /// <summary>The library's backends that serve what no row says any more.</summary>
    public async Task<long> StrayBackendsAsync()
    {
        var strays = 0L;
        foreach (var (name, place) in _places)
        {
            for (var server = 0; server < 2; server++)
            {
                var right = server == place.Server ? _roles[place.Role] : "";
                strays += (long)
                    (
                        await ExecuteAsync(
                            server,
                            _databases[name][server],
                            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
                                + $"AND usename IN ('{_roles[0]}', '{_roles[1]}') AND usename <> '{right}'"
                        )
                    )!;
            }
        }

        return strays;
    }

    public async ValueTask DisposeAsync()
    {
        await App.DisposeAsync();
        await _servers[1].DisposeAsync();
    }

    private async Task StoreAsync(string name)
    {
        var place = _places[name];
        var server = _servers[place.Server];
        var role = _roles[place.Role];
        var token = await TestApp.PlainTokenAsync(App.Services, role);
        await App.AdminAsync(
            place.Exists
                ? $"""
                INSERT INTO admin.database_connections (connection_name, host, port, database_name, username, encrypted_password,
                    ssl_mode, pool_min_size, pool_max_size, is_active)
                VALUES ('{name}', '{server.Host}', {server.Port}, '{_databases[name][
                    place.Server
                ]}', '{role}', '{token}',
                    '{place.SslMode}', 0, {place.MaxPoolSize}, {place.IsActive})
                ON CONFLICT (connection_name) DO UPDATE SET host = excluded.host, port = excluded.port,
                    database_name = excluded.database_name, username = excluded.username,
                    encrypted_password = excluded.encrypted_password, ssl_mode = excluded.ssl_mode,
                    pool_max_size = excluded.pool_max_size, is_active = excluded.is_active
                """
                : $"DELETE FROM admin.database_connections WHERE connection_name = '{name}'"
        );
    }

    private async Task<object?> ExecuteAsync(int server, string database, string sql)
    {
        await using var connection = new NpgsqlConnection(
            _servers[server].GetConnectionString(database) + ";Pooling=false"
        );
        await connection.OpenAsync(Ct);
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(Ct);
    }

    private sealed record Place(bool Exists, int Server, int Role, int MaxPoolSize, string SslMode, bool IsActive);
}
