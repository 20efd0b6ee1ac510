using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>A primary and a standby that follows it, and applications whose rows name both.</summary>
public sealed class Pair : IAsyncLifetime
{
    public PostgresServer Primary { get; private set; } = null!;

    public PostgresServer Standby { get; private set; } = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await InitializeAsync(new());

    public static async Task<Pair> StartAsync(PostgresServerOptions? options = null)
    {
        var pair = new Pair();
        await pair.InitializeAsync(options ?? new());
        return pair;
    }

    private async Task InitializeAsync(PostgresServerOptions options)
    {
        options.Source = ServerSource.Binaries;
        options.ScramIterations ??= 1;

        // A standby that is only starting has no slot that would keep what it needs.
        options.Settings.TryAdd("wal_keep_size", "256MB");
        Primary = await PostgresServer.StartAsync(options, Ct);
        Standby = await Primary.StartStandbyAsync(Ct);
    }

    public async ValueTask DisposeAsync()
    {
        await Standby.DisposeAsync();
        await Primary.DisposeAsync();
    }

    internal RuntimeApp NewApp(
        IReadOnlyDictionary<string, string?>? settings = null,
        TimeProvider? time = null,
        Action<NeoCommonsBuilder>? contexts = null,
        Action<IServiceCollection>? configure = null
    ) => new(Primary, settings, time, configure, contexts);

    /// <summary>Registers a new database of both servers.</summary>
    internal Task<DatabaseConnection> AddAsync(
        RuntimeApp app,
        Func<DatabaseConnection, DatabaseConnection>? change = null
    ) =>
        app.AddDatabaseAsync(row =>
        {
            row = row with { ReplicaHosts = ReplicaHosts.Parse($"{Standby.Host}:{Standby.Port}") };
            return change is null ? row : change(row);
        });

    /// <summary>Waits until the standby, or another one of the primary's, has what the primary has now.</summary>
    internal async Task CatchUpAsync(PostgresServer? standby = null)
    {
        // Where the next record would be inserted may lie behind a page's header, which nobody replays until there is one.
        var written = await ScalarAsync(Primary, "postgres", "SELECT pg_current_wal_flush_lsn()::text");
        await Eventually.TrueAsync(async () =>
            (bool)
                (await ScalarAsync(standby ?? Standby, "postgres", $"SELECT pg_last_wal_replay_lsn() >= '{written}'"))!
        );
    }

    /// <summary>Ends the library's sessions in a database of one of the servers.</summary>
    internal static Task<object?> KillAsync(PostgresServer server, string database) =>
        ScalarAsync(
            server,
            "postgres",
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'client backend' "
                + $"AND datname = '{database}' AND application_name <> '{RuntimeApp.Direct}'"
        );

    /// <summary>Executes SQL as the superuser, beside the library.</summary>
    internal static async Task<object?> ScalarAsync(PostgresServer server, string database, string sql)
    {
        await using var connection = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(server.GetConnectionString(database))
            {
                Pooling = false,
                ApplicationName = RuntimeApp.Direct,
            }.ConnectionString
        );
        await connection.OpenAsync(Ct);
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(Ct);
    }
}
