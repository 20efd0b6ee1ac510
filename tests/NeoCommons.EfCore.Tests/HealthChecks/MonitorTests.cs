using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Time.Testing;
using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.HealthChecks;

/// <summary>While the host runs, health is looked at in the background, and who asks gets an answer from memory.</summary>
public sealed class MonitorTests(TestServers servers)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_check_asks_no_server_and_makes_no_pool_grow()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var watched = await WatchAsync(proxy);
        await watched.LookAsync();

        // A session beside the pool may still be closing.
        await Eventually.TrueAsync(() => proxy.Counters.OpenConnections == 1);
        var before = proxy.ResetCounters();

        for (var i = 0; i < 50; i++)
        {
            Assert.Equal(ConnectionHealthStatus.Healthy, (await watched.HealthAsync()).Status);
        }

        Assert.Equal(0, proxy.Counters.RoundTrips);
        Assert.Equal(before.OpenConnections, proxy.Counters.OpenConnections);
        await watched.LookAsync();
        Assert.True(proxy.Counters.RoundTrips > 0);
        Assert.Equal(before.OpenConnections, proxy.Counters.OpenConnections);
    }

    [Fact]
    public async Task It_looks_when_the_host_has_started_and_not_while_others_still_do()
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(
            servers.Postgres,
            time: time,
            configure: services => services.AddHealthChecks().AddNeoCommons()
        );
        await app.AddDatabaseAsync();
        await HostOf.StartAsync(app, Ct);
        for (var i = 0; i < 3; i++)
        {
            time.Advance(Interval);
            await Task.Delay(50, Ct);
        }

        Assert.Equal(0, app.Registry.Lists);
        await HostOf.EndStartAsync(app, Ct);
        await Eventually.TrueAsync(() => app.Registry.Lists > 0);
    }

    [Fact]
    public async Task It_tells_how_old_the_answer_is_and_nothing_at_all_when_it_is_too_old()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var watched = await WatchAsync(proxy);
        await watched.LookAsync();
        Assert.Equal(0, (await watched.HealthAsync()).AgeSeconds);

        // The next looks do not come to an end.
        proxy.Blackhole();
        watched.Time.Advance(TimeSpan.FromSeconds(4));
        Assert.Equal(4, (await watched.HealthAsync()).AgeSeconds);
        watched.Time.Advance(TimeSpan.FromMinutes(1));

        // Unless the timeout of a look has come first.
        var health = await watched.HealthAsync();
        Assert.NotEqual(ConnectionHealthStatus.Healthy, health.Status);
    }

    [Fact]
    public async Task A_server_that_has_gone_is_seen_by_the_next_look_and_its_return_too()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var watched = await WatchAsync(proxy);
        await watched.LookAsync();
        proxy.RefuseConnections();
        proxy.Cut();

        await watched.LookAsync(ConnectionHealthStatus.Unhealthy);
        Assert.Equal(HealthStatus.Unhealthy, (await watched.ReportAsync()).Entries["neocommons-connections"].Status);
        Assert.Equal(HealthStatus.Healthy, (await watched.ReportAsync()).Entries["neocommons-live"].Status);

        proxy.Restore();
        await watched.LookAsync(ConnectionHealthStatus.Healthy);
    }

    [Fact]
    public async Task A_pool_that_has_filled_up_since_the_last_look_is_saturated_now()
    {
        await using var watched = await WatchAsync(null, row => row with { MaxPoolSize = 2 });
        await watched.LookAsync();
        await using var first = await watched.App.Connections.OpenConnectionAsync(watched.Row.Name, Ct);
        await using (await watched.App.Connections.OpenConnectionAsync(watched.Row.Name, Ct))
        {
            var full = await watched.HealthAsync();
            Assert.Equal((ConnectionHealthStatus.Degraded, "saturated"), (full.Status, full.Reason));
        }

        Assert.Equal(ConnectionHealthStatus.Healthy, (await watched.HealthAsync()).Status);
    }

    [Fact]
    public async Task Where_all_connections_are_in_use_a_look_is_made_beside_the_pool()
    {
        await using var watched = await WatchAsync(null, row => row with { MaxPoolSize = 10 });

        // Before it ran, the first questions were looks too, and two at the same time may have found the same one idle.
        (await watched.App.AcquireAsync(watched.Row.Name)).Clear();
        await using var used = await watched.App.Connections.OpenConnectionAsync(watched.Row.Name, Ct);

        for (var i = 0; i < 5; i++)
        {
            var health = (await watched.App.Connections.CheckAsync(watched.Row.Name, Ct))[watched.Row.Name];
            Assert.Equal(ConnectionHealthStatus.Healthy, health.Status);
            Assert.NotNull(health.ResponseMilliseconds);
        }

        Assert.Equal(1, watched.App.Connections.GetPoolMetrics(watched.Row.Name).Total);
    }

    [Fact]
    public async Task A_thousand_connections_are_one_look_at_the_meter()
    {
        await using var watched = await WatchAsync(null);
        for (var i = 0; i < 1_000; i++)
        {
            watched.App.Registry.Set(watched.Row with { Name = $"{watched.Row.Name}-{i}" });
        }

        await watched.LookAsync();
        var report = await watched.ReportAsync();

        Assert.Equal(1_001, report.Entries["neocommons-connections"].Data.Count);
        Assert.StartsWith("1 of 1", report.Entries["neocommons-connections"].Description, StringComparison.Ordinal);
        Assert.Single(watched.App.Services.GetRequiredService<TenantDataSources>().Current);
    }

    [Fact]
    public async Task A_report_of_a_thousand_connections_reads_the_drivers_meter_once_for_each_check_and_asks_no_server()
    {
        const int Used = 20;
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var watched = await WatchAsync(proxy);
        for (var i = 1; i < 1_000; i++)
        {
            var row = watched.Row with { Name = $"{watched.Row.Name}-{i}" };
            watched.App.Registry.Set(row);
            if (i < Used)
            {
                await using (await watched.App.Connections.OpenConnectionAsync(row.Name, Ct)) { }
            }
        }

        await watched.LookAsync();
        await Eventually.EqualAsync(Used, async () => Seen(await watched.ReportAsync()).Count());
        proxy.ResetCounters();

        // An instrument of the driver's kind: whoever reads those reads this one, here and in other tests.
        var reads = new AsyncLocal<StrongBox<int>?>();
        using var meter = new Meter("Npgsql");
        meter.CreateObservableUpDownCounter(
            "db.client.connection.count",
            () =>
            {
                if (reads.Value is { } ours)
                {
                    Interlocked.Increment(ref ours.Value);
                }

                return Array.Empty<Measurement<int>>();
            }
        );
        var counted = reads.Value = new();
        var report = await watched.ReportAsync();
        reads.Value = null;

        Assert.Equal(Used, Seen(report).Count());
        Assert.Equal(Used, report.Entries["neocommons-pools"].Data.Count);
        Assert.InRange(counted.Value, 1, report.Entries.Count);
        Assert.Equal((0, 0), (proxy.Counters.RoundTrips, proxy.Counters.Connections));

        static IEnumerable<ConnectionHealth> Seen(HealthReport report) =>
            report
                .Entries["neocommons-connections"]
                .Data.Values.Cast<ConnectionHealth>()
                .Where(health => health is { Status: ConnectionHealthStatus.Healthy, AgeSeconds: 0 });
    }

    [Fact]
    public async Task No_more_connections_are_looked_at_at_a_time_than_the_options_say_and_all_of_them_are()
    {
        const int Rows = 10;
        const int AtATime = 2;
        var counting = new Lock();
        var (now, most, all) = (0, 0, 0);
        var full = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var app = new RuntimeApp(
            servers.Postgres,
            configure: services =>
                services
                    .AddHealthChecks()
                    .AddNeoCommons(options =>
                    {
                        options.Parallelism = AtATime;
                        options.Timeout = TimeSpan.FromSeconds(30);
                        options.AddCheck("slow", CheckAsync);
                    })
        );
        var first = await app.AddDatabaseAsync();
        for (var i = 0; i < Rows; i++)
        {
            var row = first with { Name = i == 0 ? first.Name : RuntimeApp.NewName() };
            app.Registry.Set(row);
            await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        }

        var found = await app.Connections.CheckAsync(ct: Ct);

        Assert.Equal((AtATime, Rows), (most, all));
        Assert.Equal(Rows, found.Count);
        Assert.All(found.Values, health => Assert.Null(health.Reason));

        async ValueTask<ConnectionHealthStatus> CheckAsync(NpgsqlConnection connection, CancellationToken ct)
        {
            lock (counting)
            {
                all++;
                most = Math.Max(most, ++now);
                if (now == AtATime)
                {
                    full.TrySetResult();
                }
            }

            try
            {
                // And then for others to come, if they may.
                await full.Task.WaitAsync(ct);
                await Task.Delay(100, ct);
                return ConnectionHealthStatus.Healthy;
            }
            finally
            {
                lock (counting)
                {
                    now--;
                }
            }
        }
    }

    [Fact]
    public async Task Checks_of_the_application_say_how_a_connection_is()
    {
        var status = ConnectionHealthStatus.Healthy;
        await using var watched = await WatchAsync(
            null,
            configure: options =>
            {
                options.AddCheck(
                    "queue",
                    async (connection, ct) =>
                    {
                        await using var command = new NpgsqlCommand("SELECT current_user", connection);
                        Assert.NotNull(await command.ExecuteScalarAsync(ct));
                        return status;
                    }
                );
                options.AddCheck("other", (_, _) => throw new InvalidOperationException("not for this one"), "other");
            }
        );
        Assert.Equal(ConnectionHealthStatus.Healthy, await CheckAsync());

        status = ConnectionHealthStatus.Degraded;
        Assert.Equal(ConnectionHealthStatus.Degraded, await CheckAsync());
        Assert.Equal("queue", (await watched.App.Connections.CheckAsync(ct: Ct))[watched.Row.Name].Reason);

        async Task<ConnectionHealthStatus> CheckAsync() =>
            (await watched.App.Connections.CheckAsync(ct: Ct))[watched.Row.Name].Status;
    }

    [Fact]
    public async Task A_check_that_throws_is_unhealthy_and_its_text_is_shown_to_nobody()
    {
        await using var watched = await WatchAsync(
            null,
            configure: options =>
                options.AddCheck("backup", (_, _) => throw new InvalidOperationException("canary at secret-host"))
        );

        var health = (await watched.App.Connections.CheckAsync(watched.Row.Name, Ct))[watched.Row.Name];

        Assert.Equal((ConnectionHealthStatus.Unhealthy, "backup"), (health.Status, health.Reason));
    }

    [Fact]
    public async Task A_connection_that_is_not_registered_is_not_looked_at()
    {
        await using var watched = await WatchAsync(null);

        await Assert.ThrowsAsync<ConnectionNotFoundException>(async () =>
            await watched.App.Connections.CheckAsync("no-such", Ct)
        );
    }

    [Fact]
    public async Task A_database_with_too_many_schemas_is_degraded()
    {
        await using var watched = await WatchAsync(
            null,
            configure: options =>
            {
                options.MaxSchemas = 3;
                options.CatalogInterval = TimeSpan.Zero;
            }
        );
        foreach (var slug in new[] { "a1", "a2" })
        {
            await watched.App.AddTenantAsync(watched.Row, slug);
        }

        var health = (await watched.App.Connections.CheckAsync(watched.Row.Name, Ct))[watched.Row.Name];

        Assert.Equal((ConnectionHealthStatus.Degraded, "catalog pressure"), (health.Status, health.Reason));

        // public, and the two; in each a table and its index; TOAST is PostgreSQL's own.
        Assert.Equal((3, 4), (health.Catalog!.Schemas, health.Catalog.Relations));
        Assert.True(health.Catalog.CatalogBytes > 0);
    }

    [Fact]
    public async Task A_look_that_took_long_does_not_replace_what_a_later_one_saw()
    {
        var held = new TaskCompletionSource<ConnectionHealthStatus>();
        var checks = 0;
        await using var watched = await WatchAsync(
            null,
            configure: options =>
                options.AddCheck(
                    "own",
                    async (_, _) =>
                        Interlocked.Increment(ref checks) == 2 ? await held.Task : ConnectionHealthStatus.Healthy
                )
        );
        await Eventually.TrueAsync(() => Volatile.Read(ref checks) == 1);

        watched.Time.Advance(TimeSpan.FromSeconds(1));
        var slow = watched.App.Connections.CheckAsync(watched.Row.Name, Ct).AsTask();
        await Eventually.TrueAsync(() => Volatile.Read(ref checks) == 2);
        watched.Time.Advance(TimeSpan.FromSeconds(1));
        await watched.App.Connections.CheckAsync(watched.Row.Name, Ct);
        held.SetResult(ConnectionHealthStatus.Unhealthy);
        await slow;

        Assert.Equal(ConnectionHealthStatus.Healthy, (await watched.HealthAsync()).Status);
    }

    [Fact]
    public async Task While_a_full_pool_drains_the_one_in_its_place_is_asked()
    {
        await using var watched = await WatchAsync(null, row => row with { MaxPoolSize = 1 }, drain: "01:00:00");
        await using var held = await watched.App.Connections.OpenConnectionAsync(watched.Row.Name, Ct);
        watched.App.Registry.Change(watched.Row.Name, row => row with { Port = 1 });
        await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await watched.App.Connections.OpenConnectionAsync(watched.Row.Name, Ct)
        );

        Assert.Equal(1, watched.App.Connections.GetPoolMetrics(watched.Row.Name).Active);
        var health = (await watched.App.Connections.CheckAsync(watched.Row.Name, Ct))[watched.Row.Name];

        Assert.Equal((ConnectionHealthStatus.Unhealthy, "Unreachable"), (health.Status, health.Reason));
    }

    [Theory]
    [InlineData(2, ConnectionHealthStatus.Degraded)]
    [InlineData(3, ConnectionHealthStatus.Healthy)]
    public async Task A_database_with_too_many_relations_is_degraded(int most, ConnectionHealthStatus expected)
    {
        await using var watched = await WatchAsync(
            null,
            configure: options =>
            {
                options.MaxRelations = most;
                options.CatalogInterval = TimeSpan.Zero;
            }
        );
        await watched.App.AddTenantAsync(watched.Row, "a1");

        var health = (await watched.App.Connections.CheckAsync(watched.Row.Name, Ct))[watched.Row.Name];

        Assert.Equal(2, health.Catalog!.Relations);
        Assert.Equal(
            (expected, expected == ConnectionHealthStatus.Degraded ? "catalog pressure" : null),
            (health.Status, health.Reason)
        );
    }

    private async Task<Watched> WatchAsync(
        TcpFaultProxy? proxy,
        Func<DatabaseConnection, DatabaseConnection>? change = null,
        Action<ConnectionHealthOptions>? configure = null,
        string drain = "00:00:00"
    )
    {
        var time = new FakeTimeProvider();
        var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?>
            {
                ["NeoCommons:Connections:DrainTimeout"] = drain,
                ["NeoCommons:Health:Interval"] = $"{Interval}",
            },
            time,
            services => services.AddHealthChecks().AddNeoCommons(configure)
        );
        var row = await app.AddDatabaseAsync(row =>
        {
            row = proxy is null ? row : row with { Host = proxy.Host, Port = proxy.Port };
            return change is null ? row : change(row);
        });
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        var watched = new Watched(app, row, time);
        await HostOf.StartAsync(app, Ct);
        await HostOf.EndStartAsync(app, Ct);

        await Eventually.TrueAsync(async () => (await watched.HealthAsync()).AgeSeconds is not null);
        return watched;
    }

    private sealed record Watched(RuntimeApp App, DatabaseConnection Row, FakeTimeProvider Time) : IAsyncDisposable
    {
        /// <summary>Lets the monitor look, until what is remembered is as it should be.</summary>
        public Task LookAsync(ConnectionHealthStatus status = ConnectionHealthStatus.Healthy) =>
            Eventually.TrueAsync(async () =>
            {
                // Not while a look goes on: its timeout would come at once.
                Time.Advance(Interval);
                for (var i = 0; i < 100; i++)
                {
                    await Task.Delay(20, Ct);
                    var health = await HealthAsync();
                    if (health.Status == status && health.AgeSeconds is null or 0)
                    {
                        return true;
                    }
                }

                return false;
            });

        public async Task<ConnectionHealth> HealthAsync() =>
            Assert.IsType<ConnectionHealth>((await ReportAsync()).Entries["neocommons-connections"].Data[Row.Name]);

        public Task<HealthReport> ReportAsync() =>
            App.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(Ct);

        public async ValueTask DisposeAsync()
        {
            foreach (var service in App.Services.GetServices<IHostedService>())
            {
                await service.StopAsync(CancellationToken.None);
            }

            await App.DisposeAsync();
        }
    }
}
