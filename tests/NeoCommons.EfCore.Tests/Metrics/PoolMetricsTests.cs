using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Metrics;

/// <summary>Each value of <see cref="PoolMetrics"/> moves for its own reason.</summary>
public sealed class PoolMetricsTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_slow_command_shows_in_the_response_time()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        await ExecuteAsync(app, row, "SELECT 1");
        var before = app.Connections.GetPoolMetrics(row.Name);

        await ExecuteAsync(app, row, "SELECT pg_sleep(0.2)");
        var after = app.Connections.GetPoolMetrics(row.Name);

        Assert.Equal(before.Commands + 1, after.Commands);
        Assert.InRange(after.ResponseTime!.P99Milliseconds, 200, double.MaxValue);
        Assert.InRange(after.ResponseTime.AverageMilliseconds, 199 / after.Commands, double.MaxValue);
    }

    [Fact]
    public async Task A_failing_command_shows_in_the_success_rate()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        await ExecuteAsync(app, row, "SELECT 1");
        Assert.Equal(1.0, app.Connections.GetPoolMetrics(row.Name).QuerySuccessRate);

        await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(app, row, "SELECT 1 / 0"));
        var after = app.Connections.GetPoolMetrics(row.Name);

        Assert.Equal(1, after.RecentFailures);
        Assert.Equal(1 - 1.0 / after.Commands, after.QuerySuccessRate);
        Assert.InRange(after.HealthScore, 0, 99);
    }

    [Fact]
    public async Task A_killed_connection_shows_in_the_efficiency()
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync(r => r with { PrePing = true });
        for (var i = 0; i < 10; i++)
        {
            await ExecuteAsync(app, row, "SELECT 1");
        }

        var before = app.Connections.GetPoolMetrics(row.Name);
        await app.KillBackendsAsync(row);
        time.Advance(TimeSpan.FromSeconds(1));
        await ExecuteAsync(app, row, "SELECT 1");
        var after = app.Connections.GetPoolMetrics(row.Name);

        Assert.Equal((10, 0.9, 1), (before.Acquisitions, before.PoolEfficiency, before.ConnectionsCreated));
        Assert.Equal((11, 1 - 2.0 / 11, 2), (after.Acquisitions, after.PoolEfficiency, after.ConnectionsCreated));
        Assert.True(after.AverageCreateMilliseconds > 0);
    }

    [Fact]
    public async Task A_full_pool_shows_in_saturation_waiters_timeouts_and_the_score()
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync(r => r with { MaxPoolSize = 1, PoolTimeout = TimeSpan.FromSeconds(3) });
        await using var holding = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        var waiting = app.Connections.OpenConnectionAsync(row.Name, Ct).AsTask();

        await Eventually.TrueAsync(() => app.Connections.GetPoolMetrics(row.Name).Pending == 1);
        var full = app.Connections.GetPoolMetrics(row.Name);
        time.Advance(row.PoolTimeout);
        await Assert.ThrowsAsync<ConnectionUnavailableException>(() => waiting);
        var after = app.Connections.GetPoolMetrics(row.Name);

        Assert.Equal((1, 0, 1, 1.0), (full.Active, full.Idle, full.Max, full.Saturation));
        Assert.Equal((0, 1, 1), (after.Pending, after.Timeouts, after.FailedAcquisitions));

        // One of two callers was served, and the pool is still full: half of 100 - 30.
        Assert.Equal(35, after.HealthScore);
    }

    [Fact]
    public async Task A_wait_for_a_connection_shows_in_the_acquisition_time()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(r => r with { MaxPoolSize = 1, PoolTimeout = TimeSpan.FromSeconds(1024) });
        var holding = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        var waiting = app.Connections.OpenConnectionAsync(row.Name, Ct).AsTask();
        await Eventually.TrueAsync(() => app.Connections.GetPoolMetrics(row.Name).Pending == 1);
        await ExecuteAsync(holding, "SELECT pg_sleep(0.2)");
        await holding.DisposeAsync();
        await using var served = await waiting;

        var pool = app.Connections.GetPoolMetrics(row.Name);
        Assert.Equal(2, pool.Acquisitions);
        Assert.InRange(pool.AcquisitionTime!.P95Milliseconds, 200, double.MaxValue);
    }

    [Fact]
    public async Task A_window_that_has_passed_leaves_only_what_the_pool_holds()
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:MetricsWindow"] = "00:02:00" },
            time
        );
        var row = await app.AddDatabaseAsync();
        await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(app, row, "SELECT 1 / 0"));
        time.Advance(TimeSpan.FromSeconds(100));
        var still = app.Connections.GetPoolMetrics(row.Name);
        time.Advance(TimeSpan.FromSeconds(20));
        var after = app.Connections.GetPoolMetrics(row.Name);

        Assert.Equal((1, 1, 1), (still.Acquisitions, still.RecentFailures, still.ConnectionsCreated));
        Assert.Equal(
            new PoolMetrics
            {
                ConnectionName = row.Name,
                Idle = 1,
                Max = row.MaxPoolSize,
            },
            after
        );
        Assert.Equal(100, after.HealthScore);
        Assert.Null(after.QuerySuccessRate);
    }

    [Fact]
    public async Task A_replaced_pool_goes_on_in_the_figures_of_its_name()
    {
        await using var app = new RuntimeApp(servers.Postgres, time: new FakeTimeProvider());
        var row = await app.AddDatabaseAsync();
        await ExecuteAsync(app, row, "SELECT 1");

        app.Registry.Change(row.Name, r => r with { MaxPoolSize = 7 });
        await ExecuteAsync(app, row, "SELECT 1");
        await Eventually.TrueAsync(() => app.Connections.GetPoolMetrics(row.Name).Max == 7);

        var pool = app.Connections.GetPoolMetrics(row.Name);
        Assert.Equal((2, 0.0, 2), (pool.Acquisitions, pool.PoolEfficiency, pool.ConnectionsCreated));
    }

    [Fact]
    public async Task Names_of_removed_rows_and_of_others_data_sources_take_no_memory()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var meter = app.Services.GetRequiredService<PoolMeter>();
        var row = await app.AddDatabaseAsync();
        await using (
            var foreign = new NpgsqlDataSourceBuilder(servers.Postgres.ConnectionString)
            {
                Name = RuntimeApp.NewName("foreign"),
            }.Build()
        )
        {
            await using var command = foreign.CreateCommand("SELECT 1");
            await command.ExecuteNonQueryAsync(Ct);
        }

        for (var i = 0; i < 20; i++)
        {
            var name = RuntimeApp.NewName("gone");
            app.Registry.Set(row with { Name = name });
            await using (await app.Connections.OpenConnectionAsync(name, Ct)) { }
            Assert.InRange(meter.Known, 1, 20);
            app.Registry.Remove(name);
            app.Registry.Tell(name);
        }

        await Eventually.TrueAsync(() => meter.Known == 0);
    }

    [Fact]
    public async Task Without_their_times_commands_are_not_counted_and_their_failures_are()
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:CollectCommandMetrics"] = "false" }
        );
        var row = await app.AddDatabaseAsync();
        await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(app, row, "SELECT 1 / 0"));

        var pool = app.Connections.GetPoolMetrics(row.Name);
        Assert.Equal((0, 1, 1), (pool.Commands, pool.RecentFailures, pool.Acquisitions));
        Assert.Null(pool.ResponseTime);
        Assert.Null(pool.QuerySuccessRate);
    }

    [Fact]
    public async Task A_database_that_is_away_scores_nothing_and_whoever_gives_up_is_no_failure()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var away = await app.AddDatabaseAsync(r => r with { Port = 1 });
        var full = await app.AddDatabaseAsync(r => r with { MaxPoolSize = 1 });
        await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await app.Connections.OpenConnectionAsync(away.Name, Ct)
        );
        await using var holding = await app.Connections.OpenConnectionAsync(full.Name, Ct);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var waiting = app.Connections.OpenConnectionAsync(full.Name, patience.Token).AsTask();
        await Eventually.TrueAsync(() => app.Connections.GetPoolMetrics(full.Name).Pending == 1);
        await patience.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);

        var (dead, busy) = (app.Connections.GetPoolMetrics(away.Name), app.Connections.GetPoolMetrics(full.Name));
        Assert.Equal((0, 1, 0), (dead.Acquisitions, dead.FailedAcquisitions, dead.HealthScore));
        Assert.Equal((1, 0), (busy.Acquisitions, busy.FailedAcquisitions));
    }

    [Fact]
    public async Task A_measurement_that_cannot_be_counted_reaches_no_driver()
    {
        var clock = new FailingClock();
        await using var app = new RuntimeApp(servers.Postgres, time: clock);
        var row = await app.AddDatabaseAsync();
        await ExecuteAsync(app, row, "SELECT 1");
        using var driver = new Meter("Npgsql");
        var timeouts = driver.CreateCounter<int>("db.client.connection.npgsql.timeouts");
        var durations = driver.CreateHistogram<double>("db.client.operation.duration");
        var pool = new KeyValuePair<string, object?>(NeoCommonsTelemetry.ConnectionTag, row.Name);
        var before = app.Connections.GetPoolMetrics(row.Name);

        FailingClock.Fails = true;
        try
        {
            timeouts.Add(1, pool);
            durations.Record(1, pool);
        }
        finally
        {
            FailingClock.Fails = false;
        }

        // They were heard, and the next ones are counted.
        Assert.True(clock.Failures >= 2);
        durations.Record(1, pool);
        Assert.Equal(before.Commands + 1, app.Connections.GetPoolMetrics(row.Name).Commands);
    }

    /// <summary>It fails for the thread that asks for it.</summary>
    private sealed class FailingClock : TimeProvider
    {
        [ThreadStatic]
        private static bool _fails;

        private int _failures;

        public static bool Fails
        {
            set => _fails = value;
        }

        public int Failures => Volatile.Read(ref _failures);

        public override long GetTimestamp()
        {
            if (_fails)
            {
                Interlocked.Increment(ref _failures);
                throw new InvalidOperationException("The clock is broken.");
            }

            return base.GetTimestamp();
        }
    }

    private static async Task ExecuteAsync(RuntimeApp app, DatabaseConnection row, string sql)
    {
        await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await ExecuteAsync(connection, sql);
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Ct);
    }
}
