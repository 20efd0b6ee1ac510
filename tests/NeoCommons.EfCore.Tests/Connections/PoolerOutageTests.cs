using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Hosts;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>What a pooler says of its server is told apart: that it is away, or that there is no place for one more.</summary>
public sealed class PoolerOutageTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(PgBouncerPoolMode.Session, true)]
    [InlineData(PgBouncerPoolMode.Session, false)]
    [InlineData(PgBouncerPoolMode.Transaction, true)]
    [InlineData(PgBouncerPoolMode.Transaction, false)]
    public async Task Where_its_server_is_away_callers_are_told_so_and_served_when_it_is_back(
        PgBouncerPoolMode mode,
        bool wasUsed
    )
    {
        await using var server = await PostgresServer.StartAsync(ct: Ct);
        await using var pooler = await StartPoolerAsync(server, mode);
        await using var app = new RuntimeApp(
            server,
            new Dictionary<string, string?> { ["NeoCommons:Connections:Breaker:ProbeTimeout"] = "00:00:01.5" }
        );
        var row = await AddBehindAsync(app, server, pooler, r => r with { PoolTimeout = TimeSpan.FromSeconds(3) });
        if (wasUsed)
        {
            await UseAsync(app, row);
        }

        var breaker = (await app.AcquireAsync(row.Name)).Breaker;
        await server.StopAsync(ct: Ct);
        await Eventually.TrueAsync(async () =>
        {
            // What is in the pool fails once more when it is used.
            await Record.ExceptionAsync(() => UseAsync(app, row));
            return breaker.IsOpen;
        });

        var refused = await Assert.ThrowsAsync<ConnectionUnavailableException>(() => UseAsync(app, row));
        Assert.Equal(ConnectionUnavailableReason.CircuitOpen, refused.Reason);
        Assert.True(breaker.IsServerAway);

        // A pooler that has never reached it keeps its clients waiting, and says nothing.
        var (cause, state) = wasUsed
            ? (ConnectionUnavailableReason.Refused, "08P01")
            : (ConnectionUnavailableReason.Unreachable, null);
        await Eventually.EqualAsync(state, () => Task.FromResult(breaker.Outage?.SqlState));
        Assert.Equal(wasUsed, Told().Contains("Check that the server behind it runs", StringComparison.Ordinal));
        var health = (await app.Connections.CheckAsync(row.Name, Ct))[row.Name];
        Assert.Equal(("CircuitOpen", cause, state), (health.Reason, health.Outage!.Cause, health.Outage.SqlState));

        await server.StartAgainAsync(Ct);
        await Eventually.TrueAsync(() => !breaker.IsOpen && !breaker.IsWatching);
        await UseAsync(app, row);

        string Told() => Assert.Throws<ConnectionUnavailableException>(breaker.ThrowIfOpen).Message;
    }

    [Fact]
    public async Task A_pooler_without_a_place_for_one_more_is_busy_and_those_that_it_has_work_on()
    {
        await using var pooler = await StartPoolerAsync(
            servers.Postgres,
            PgBouncerPoolMode.Session,
            ("max_client_conn", "3")
        );
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await AddBehindAsync(app, servers.Postgres, pooler);
        await UseAsync(app, row);
        await using var held = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        var others = new List<NpgsqlConnection>();
        while (await Record.ExceptionAsync(AddOtherAsync) is null) { }

        var breaker = (await app.AcquireAsync(row.Name)).Breaker;
        for (var i = 0; i < 10; i++)
        {
            var refused = await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
                await app.Connections.OpenConnectionAsync(row.Name, Ct)
            );
            Assert.Equal(ConnectionUnavailableReason.Refused, refused.Reason);
            Assert.Contains("max_client_conn", refused.Message, StringComparison.Ordinal);
            Assert.True(TransientFault.Is(refused));
            await Eventually.TrueAsync(() => !breaker.IsWatching);
        }

        Assert.False(breaker.IsOpen);
        Assert.True(await RuntimeApp.PidAsync(held) > 0);
        Assert.Equal(
            (ConnectionHealthStatus.Degraded, "saturated"),
            (await app.Connections.CheckAsync(row.Name, Ct))[row.Name] is var health
                ? (health.Status, health.Reason)
                : default
        );
        foreach (var other in others)
        {
            await other.DisposeAsync();
        }

        await Eventually.TrueAsync(async () => await Record.ExceptionAsync(() => UseAsync(app, row)) is null);

        async Task AddOtherAsync()
        {
            var other = new NpgsqlConnection(
                new NpgsqlConnectionStringBuilder(pooler.GetConnectionString(row.Database))
                {
                    Pooling = false,
                }.ConnectionString
            );
            others.Add(other);
            await other.OpenAsync(Ct);
        }
    }

    [Fact]
    public async Task Where_the_servers_behind_all_hosts_are_away_callers_are_told_so_at_once()
    {
        await using var pair = await Pair.StartAsync();
        await using var primary = await StartPoolerAsync(pair.Primary, PgBouncerPoolMode.Session);
        await using var standby = await StartPoolerAsync(pair.Standby, PgBouncerPoolMode.Session);
        await using var app = pair.NewApp();
        var row = await AddBehindAsync(
            app,
            pair.Primary,
            primary,
            r => r with { ReplicaHosts = ReplicaHosts.Parse($"{standby.Host}:{standby.Port}") }
        );
        await pair.CatchUpAsync();
        await UseAsync(app, row);
        var hosts = (await app.AcquireAsync(row.Name)).Hosts!;

        await pair.Standby.StopAsync(immediate: true, Ct);
        await pair.Primary.StopAsync(immediate: true, Ct);
        await Eventually.TrueAsync(() => hosts.Outage.IsOn);

        var refused = await Assert.ThrowsAsync<ConnectionUnavailableException>(() => UseAsync(app, row));
        Assert.Equal(ConnectionUnavailableReason.NoHost, refused.Reason);
        var health = (await app.Connections.CheckAsync(row.Name, Ct))[row.Name];
        Assert.Equal(("NoHost", ConnectionUnavailableReason.NoHost), (health.Reason, health.Outage!.Cause));

        await pair.Primary.StartAgainAsync(Ct);
        await Eventually.TrueAsync(() => !hosts.Outage.IsOn);
        await Eventually.TrueAsync(async () => await Record.ExceptionAsync(() => UseAsync(app, row)) is null);
    }

    private static Task<PgBouncerServer> StartPoolerAsync(
        PostgresServer server,
        PgBouncerPoolMode mode,
        params (string Key, string Value)[] settings
    )
    {
        var options = new PgBouncerServerOptions { PoolMode = mode, Settings = { ["server_login_retry"] = "0.1" } };
        foreach (var (key, value) in settings)
        {
            options.Settings[key] = value;
        }

        return PgBouncerServer.StartAsync(server, options, Ct);
    }

    private static async Task<DatabaseConnection> AddBehindAsync(
        RuntimeApp app,
        PostgresServer server,
        PgBouncerServer pooler,
        Func<DatabaseConnection, DatabaseConnection>? change = null
    )
    {
        var row = await app.NewDatabaseAsync();
        await app.DirectAsync(
            row,
            $"ALTER ROLE \"{server.Username}\" IN DATABASE \"{row.Database}\" SET search_path = neocommons_no_tenant"
        );
        row = row with
        {
            Host = pooler.Host,
            Port = pooler.Port,
            Pooler = pooler.PoolMode == PgBouncerPoolMode.Session ? PoolerMode.Session : PoolerMode.Transaction,
        };
        row = change is null ? row : change(row);
        app.Registry.Set(row);
        return row;
    }

    private static async Task UseAsync(RuntimeApp app, DatabaseConnection row)
    {
        await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await using var command = new NpgsqlCommand("SELECT 1", connection) { CommandTimeout = 1 };
        await command.ExecuteNonQueryAsync(Ct);
    }
}
