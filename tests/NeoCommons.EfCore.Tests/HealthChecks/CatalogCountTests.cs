using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.HealthChecks;

/// <summary>A catalog that takes long to count says nothing of the connection.</summary>
public sealed class CatalogCountTests(TestServers servers)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_that_is_not_counted_in_time_leaves_the_connection_healthy_and_is_left_alone_for_an_interval()
    {
        var options = new ConnectionHealthOptions();
        var time = new FakeTimeProvider();
        var log = new LogLines();
        await using var app = new RuntimeApp(
            servers.Postgres,
            time: time,
            configure: services =>
            {
                services.AddSingleton<ILoggerProvider>(log);
                services.AddHealthChecks().AddNeoCommons();
            }
        );
        var row = await app.AddDatabaseAsync();
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        await using var holder = await LockCatalogAsync(row);

        // It answers, and then its catalog is not to be had.
        var looking = CheckAsync();
        await Eventually.EqualAsync(1L, WaitingAsync);
        time.Advance(options.Timeout);
        AssertHealthy(await looking);

        // Who looks again does not count again.
        await SettledAsync();
        for (var i = 0; i < 3; i++)
        {
            AssertHealthy(await CheckAsync());
            await SettledAsync();
        }

        Assert.Single(log.Of(3002));
        Assert.Contains(row.Name, log.Of(3002).Single(), StringComparison.Ordinal);

        // After the interval it is tried once more, and fails once more.
        time.Advance(options.CatalogInterval);
        looking = CheckAsync();
        await Eventually.EqualAsync(1L, WaitingAsync);
        time.Advance(options.Timeout);
        AssertHealthy(await looking);
        await SettledAsync();
        Assert.Equal(2, log.Of(3002).Count);

        // What is free again is counted at the next time.
        await holder.DisposeAsync();
        Assert.Null((await CheckAsync()).Catalog);
        time.Advance(options.CatalogInterval);
        Assert.NotNull((await CheckAsync()).Catalog);
        Assert.Equal(2, log.Of(3002).Count);

        async Task<ConnectionHealth> CheckAsync() =>
            (await app.Connections.CheckAsync(row.Name, Ct).AsTask().WaitAsync(Patience, Ct))[row.Name];

        Task<object?> AskAsync(string condition) =>
            app.DirectAsync(
                row with
                {
                    Database = "postgres",
                },
                $"SELECT count(*) FROM pg_stat_activity WHERE datname = '{row.Database}' AND {condition}"
            );

        async Task<long> WaitingAsync() => (long)(await AskAsync("wait_event_type = 'Lock'"))!;

        // The server was told to give it up, and the connection is back in the pool.
        async Task SettledAsync()
        {
            await Eventually.EqualAsync(0L, WaitingAsync);
            await Eventually.EqualAsync(
                (1, 0),
                () =>
                {
                    var pool = app.Connections.GetPoolMetrics(row.Name);
                    return Task.FromResult((pool.Idle, pool.Active));
                }
            );
        }
    }

    [Fact]
    public async Task What_was_found_before_the_count_has_the_age_that_it_has()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var app = new RuntimeApp(
            servers.Postgres,
            configure: services =>
                services
                    .AddHealthChecks()
                    .AddNeoCommons(o => (o.Timeout, o.Interval) = (TimeSpan.FromSeconds(4), TimeSpan.FromSeconds(8)))
        );
        var row = await app.AddDatabaseAsync(r =>
            r with
            {
                Host = proxy.Host,
                Port = proxy.Port,
                PoolTimeout = TimeSpan.FromSeconds(15),
            }
        );
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        await using var holder = await LockCatalogAsync(row);

        // It answers, is asked for its catalog, and falls silent: the question does not end.
        var looking = CheckAsync();
        await Eventually.EqualAsync(
            1L,
            () =>
                app.DirectAsync(
                    row with
                    {
                        Host = servers.Postgres.Host,
                        Port = servers.Postgres.Port,
                        Database = "postgres",
                    },
                    $"SELECT count(*) FROM pg_stat_activity WHERE datname = '{row.Database}' AND wait_event_type = 'Lock'"
                )
        );
        proxy.Blackhole();
        var found = await looking;
        Assert.Equal((ConnectionHealthStatus.Healthy, null), (found.Status, found.AgeSeconds));

        found = await CheckAsync();
        Assert.Equal(ConnectionHealthStatus.Healthy, found.Status);
        Assert.InRange(found.AgeSeconds ?? 0, 4, 12);
        await Eventually.EqualAsync<(ConnectionHealthStatus, double?)>(
            (ConnectionHealthStatus.Unhealthy, null),
            async () =>
            {
                found = await CheckAsync();
                return (found.Status, found.AgeSeconds);
            }
        );

        async Task<ConnectionHealth> CheckAsync() =>
            (await app.Connections.CheckAsync(row.Name, Ct).AsTask().WaitAsync(Patience, Ct))[row.Name];
    }

    private static void AssertHealthy(ConnectionHealth health)
    {
        Assert.Equal((ConnectionHealthStatus.Healthy, null), (health.Status, health.Reason));
        Assert.Equal(0, health.ResponseMilliseconds);
        Assert.Null(health.Catalog);
    }

    /// <summary>Has all who read the list of schemas wait, until the connection is closed.</summary>
    private async Task<NpgsqlConnection> LockCatalogAsync(DatabaseConnection row)
    {
        var holder = new NpgsqlConnection(servers.Postgres.GetConnectionString(row.Database) + ";Pooling=false");
        await holder.OpenAsync(Ct);
        await using var command = new NpgsqlCommand(
            "BEGIN; LOCK TABLE pg_catalog.pg_namespace IN ACCESS EXCLUSIVE MODE",
            holder
        );
        await command.ExecuteNonQueryAsync(Ct);
        return holder;
    }
}
