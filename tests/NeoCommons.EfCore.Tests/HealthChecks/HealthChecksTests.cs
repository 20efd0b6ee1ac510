using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.HealthChecks;

/// <summary>The health checks as an application registers and an endpoint runs them.</summary>
public sealed class HealthChecksTests(TestServers servers)
{
    private const string Connections = "neocommons-connections";
    private const string Pools = "neocommons-pools";

    private static readonly JsonSerializerOptions Json = new() { Converters = { new JsonStringEnumConverter() } };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_connection_that_was_not_used_is_unknown_and_gets_no_pool()
    {
        await using var app = App();
        var row = await app.AddDatabaseAsync(row => row with { Type = ConnectionType.Analytics, RegionId = "eu" });

        var report = await CheckAsync(app);

        Assert.Equal(HealthStatus.Healthy, report.Status);
        var health = Health(report, Connections, row);
        Assert.Equal(ConnectionHealthStatus.Unknown, health.Status);
        Assert.Equal("not used yet", health.Reason);
        Assert.Equal(ConnectionType.Analytics, health.Type);
        Assert.Equal("eu", health.RegionId);
        Assert.Null(health.ResponseMilliseconds);
        Assert.Empty(report.Entries[Pools].Data);
        Assert.All([Connections, Pools], check => Assert.Contains("ready", report.Entries[check].Tags));
        Assert.Equal(0, await app.CountBackendsAsync(row));
        Assert.Empty(app.Services.GetRequiredService<TenantDataSources>().Current);
    }

    [Fact]
    public async Task A_connection_in_use_is_healthy_and_shows_its_pool()
    {
        await using var app = App();
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 4 });
        await using var leased = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        var report = await CheckAsync(app);

        Assert.Equal(HealthStatus.Healthy, report.Status);
        var health = Health(report, Connections, row);
        Assert.Equal((ConnectionHealthStatus.Healthy, null), (health.Status, health.Reason));
        Assert.NotNull(health.ResponseMilliseconds);
        Assert.Equal((1, 4), (health.Pool.Active, health.Pool.Max));
        Assert.Equal(row.Name, health.Pool.ConnectionName);
        Assert.Equal(
            new PoolHealth
            {
                Status = ConnectionHealthStatus.Healthy,
                Idle = 0,
                Active = 1,
                Max = 4,
                Pending = 0,
                Saturation = 0.25,
            },
            report.Entries[Pools].Data[row.Name]
        );
        Assert.StartsWith("1 of 1", report.Entries[Connections].Description, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_check_gives_its_connection_back()
    {
        await using var app = App();
        var row = await UsedAsync(app);

        for (var i = 0; i < 10; i++)
        {
            await CheckAsync(app);
        }

        Assert.Equal(1, await app.CountBackendsAsync(row));
        Assert.Equal(0, app.Connections.GetPoolMetrics(row.Name).Active);
    }

    [Fact]
    public async Task One_server_down_of_two_degrades_and_only_it_is_named()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var app = App();
        var up = await UsedAsync(app);
        var down = await UsedAsync(app, proxy);
        proxy.RefuseConnections();
        proxy.Cut();

        var report = await CheckAsync(app);

        var entry = report.Entries[Connections];
        Assert.Equal(HealthStatus.Degraded, entry.Status);
        Assert.Equal(ConnectionHealthStatus.Healthy, Health(report, Connections, up).Status);
        var health = Health(report, Connections, down);
        Assert.Equal(
            (ConnectionHealthStatus.Unhealthy, nameof(ConnectionUnavailableReason.Unreachable)),
            (health.Status, health.Reason)
        );
        Assert.Contains(down.Name, entry.Description, StringComparison.Ordinal);
        Assert.DoesNotContain(up.Name, entry.Description, StringComparison.Ordinal);
        AssertTellsNoSecret(report, down, proxy.Port);
    }

    [Fact]
    public async Task An_open_circuit_tells_since_when_and_which_kind_of_failure_it_is_and_no_more()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var app = App();
        var row = await UsedAsync(app, proxy);
        Assert.Null(Health(await CheckAsync(app), Connections, row).Outage);
        var breaker = (await app.AcquireAsync(row.Name)).Breaker;
        proxy.RefuseConnections();
        proxy.Cut();
        breaker.InDoubt();
        await Eventually.TrueAsync(() => breaker.IsOpen);

        var report = await CheckAsync(app);

        var health = Health(report, Connections, row);
        Assert.Equal((ConnectionHealthStatus.Unhealthy, "CircuitOpen"), (health.Status, health.Reason));
        Assert.Equal((ConnectionUnavailableReason.Unreachable, null), (health.Outage!.Cause, health.Outage.SqlState));
        Assert.True(health.Outage.Seconds >= 0);
        AssertTellsNoSecret(report, row, proxy.Port);
        proxy.Restore();
        await Eventually.TrueAsync(() => !breaker.IsOpen);
        Assert.Null(Health(await CheckAsync(app), Connections, row).Outage);
    }

    [Theory]
    [InlineData(HealthStatus.Unhealthy)]
    [InlineData(HealthStatus.Degraded)]
    public async Task All_servers_down_is_the_failure_status_of_the_registration(HealthStatus failureStatus)
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var app = App(failureStatus: failureStatus);
        await UsedAsync(app, proxy);
        await UsedAsync(app, proxy);
        proxy.RefuseConnections();
        proxy.Cut();

        var report = await CheckAsync(app);

        Assert.Equal(failureStatus, report.Entries[Connections].Status);
        Assert.StartsWith("0 of 2", report.Entries[Connections].Description, StringComparison.Ordinal);
    }

    [Fact]
    public async Task While_all_servers_are_down_the_process_is_not_ready_and_lives()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var app = App();
        await UsedAsync(app, proxy);
        proxy.RefuseConnections();
        proxy.Cut();

        var live = await CheckAsync("live");
        var ready = await CheckAsync("ready");

        Assert.Equal(HealthStatus.Healthy, live.Status);
        Assert.Equal(["neocommons-live"], live.Entries.Keys);
        Assert.Equal(HealthStatus.Unhealthy, ready.Status);
        Assert.Equal([Connections, Pools], ready.Entries.Keys.Order());

        // As MapHealthChecks with such a predicate does.
        Task<HealthReport> CheckAsync(string tag) =>
            app
                .Services.GetRequiredService<HealthCheckService>()
                .CheckHealthAsync(check => check.Tags.Contains(tag), Ct);
    }

    [Fact]
    public async Task A_server_that_comes_back_is_healthy_again()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var app = App();
        await UsedAsync(app, proxy);
        proxy.RefuseConnections();
        proxy.Cut();
        Assert.Equal(HealthStatus.Unhealthy, (await CheckAsync(app)).Status);

        proxy.Restore();

        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(app)).Status);
    }

    [Fact]
    public async Task A_hanging_server_is_a_timeout_and_the_check_does_not_hang_with_it()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var app = App(options => options.Timeout = TimeSpan.FromSeconds(1));
        var row = await UsedAsync(app, proxy, row => row with { PoolTimeout = TimeSpan.FromSeconds(1000) });
        proxy.Blackhole();

        // The driver would wait for its request to cancel as long as for an open: a thousand seconds here.
        var report = await CheckAsync(app).WaitAsync(TimeSpan.FromMinutes(2), Ct);

        var health = Health(report, Connections, row);
        Assert.Equal((ConnectionHealthStatus.Unhealthy, "timeout"), (health.Status, health.Reason));
        Assert.Equal(HealthStatus.Unhealthy, report.Status);
        AssertTellsNoSecret(report, row, proxy.Port);
    }

    [Fact]
    public async Task A_slow_server_is_degraded()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var app = App(options => options.SlowAfter = TimeSpan.FromMilliseconds(100));
        var row = await UsedAsync(app, proxy);
        proxy.Latency = TimeSpan.FromMilliseconds(100);

        var report = await CheckAsync(app);

        var health = Health(report, Connections, row);
        Assert.Equal((ConnectionHealthStatus.Degraded, "slow"), (health.Status, health.Reason));
        Assert.Equal(HealthStatus.Degraded, report.Entries[Connections].Status);
    }

    [Fact]
    public async Task A_saturated_pool_is_degraded_and_not_down()
    {
        await using var app = App(options => options.Timeout = TimeSpan.FromMilliseconds(500));
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 2 });
        await using var first = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await using var second = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        var report = await CheckAsync(app);

        var health = Health(report, Connections, row);
        Assert.Equal((ConnectionHealthStatus.Degraded, "saturated"), (health.Status, health.Reason));
        Assert.Equal(1.0, health.Pool.Saturation);
        var pool = Assert.IsType<PoolHealth>(report.Entries[Pools].Data[row.Name]);
        Assert.Equal((ConnectionHealthStatus.Degraded, "saturated"), (pool.Status, pool.Reason));
        Assert.Equal((1.0, 2, 2), (pool.Saturation, pool.Active, pool.Max));
        Assert.All([Connections, Pools], check => Assert.Equal(HealthStatus.Degraded, report.Entries[check].Status));
    }

    [Fact]
    public async Task A_pool_whose_callers_time_out_is_saturated_too()
    {
        await using var app = App();
        var row = await app.AddDatabaseAsync(row =>
            row with
            {
                MaxPoolSize = 1,
                PoolTimeout = TimeSpan.FromSeconds(1),
            }
        );
        await using var leased = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        var health = Health(await CheckAsync(app), Connections, row);

        Assert.Equal((ConnectionHealthStatus.Degraded, "saturated"), (health.Status, health.Reason));
    }

    [Fact]
    public async Task Rows_that_cannot_be_used_are_told_apart()
    {
        await using var app = App();
        var good = await UsedAsync(app);
        var inactive = good with { Name = "inactive", IsActive = false };
        var invalid = good with { Name = "invalid", Host = "a,b" };
        var unreadable = good with { Name = "unreadable", Password = Secret.Unreadable("token gAAAA-canary") };
        foreach (var row in new[] { inactive, invalid, unreadable })
        {
            app.Registry.Set(row);
        }

        var report = await CheckAsync(app);

        Assert.Equal("inactive", Health(report, Connections, inactive).Reason);
        Assert.Equal(ConnectionHealthStatus.Unknown, Health(report, Connections, inactive).Status);
        Assert.Equal("InvalidConfiguration: host", Health(report, Connections, invalid).Reason);
        Assert.Equal("secret cannot be read", Health(report, Connections, unreadable).Reason);
        Assert.Equal(HealthStatus.Degraded, report.Entries[Connections].Status);
        Assert.DoesNotContain("canary", Serialize(report), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_changed_password_that_is_wrong_shows_no_name_of_user_or_host()
    {
        await using var app = App();
        var row = await UsedAsync(app);
        await app.KillBackendsAsync(row);
        app.Registry.Change(row.Name, known => known with { Password = Secret.FromText("canary-wrong") });

        // The first check may meet the killed connection.
        await Eventually.EqualAsync(
            "AuthenticationFailed",
            async () => Health(await CheckAsync(app), Connections, row).Reason
        );
        var report = await CheckAsync(app);
        AssertTellsNoSecret(report, row with { Password = Secret.FromText("canary-wrong") }, row.Port);
    }

    [Fact]
    public async Task An_unexpected_failure_of_one_connection_is_told_without_its_text()
    {
        await using var app = App();
        var row = await UsedAsync(app);
        app.Registry.Failure = new InvalidOperationException("registry at secret-host.example");

        var report = await CheckAsync(app);

        Assert.Equal(ConnectionHealthStatus.Unhealthy, Health(report, Connections, row).Status);
        Assert.DoesNotContain("secret-host", Serialize(report), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cancelled_check_is_cancelled_and_says_nothing_of_the_connections()
    {
        await using var app = App();
        await UsedAsync(app);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            app.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(new CancellationToken(true))
        );
    }

    private static ConnectionHealth Health(HealthReport report, string check, DatabaseConnection row) =>
        Assert.IsType<ConnectionHealth>(report.Entries[check].Data[row.Name]);

    private static Task<HealthReport> CheckAsync(RuntimeApp app) =>
        app.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(Ct);

    private static string Serialize(HealthReport report) =>
        JsonSerializer.Serialize(
            report.Entries.Select(entry => new
            {
                entry.Key,
                entry.Value.Status,
                entry.Value.Description,
                entry.Value.Data,
                Exception = entry.Value.Exception?.ToString(),
            }),
            Json
        );

    private static void AssertTellsNoSecret(HealthReport report, DatabaseConnection row, int port)
    {
        var text = Serialize(report);
        Assert.Contains(row.Name, text, StringComparison.Ordinal);
        foreach (var secret in new[] { row.Host, row.Username, row.Password.Reveal(), row.Database, $"{port}" })
        {
            Assert.DoesNotContain(secret, text, StringComparison.OrdinalIgnoreCase);
        }
    }

    private static async Task<DatabaseConnection> UsedAsync(
        RuntimeApp app,
        TcpFaultProxy? proxy = null,
        Func<DatabaseConnection, DatabaseConnection>? change = null
    )
    {
        var row = await app.AddDatabaseAsync(row =>
        {
            row = proxy is null ? row : row with { Host = proxy.Host, Port = proxy.Port };
            return change is null ? row : change(row);
        });
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        return row;
    }

    private RuntimeApp App(
        Action<ConnectionHealthOptions>? configure = null,
        HealthStatus failureStatus = HealthStatus.Unhealthy
    ) =>
        new(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:DrainTimeout"] = "00:00:01" },
            configure: services => services.AddHealthChecks().AddNeoCommons(configure, failureStatus)
        );
}
