using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>One lazy pool per row, whoever uses it, under the connection's name.</summary>
public sealed class PoolTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Before_its_first_use_a_connection_has_no_pool_and_no_backend()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MinPoolSize = 3 });
        var tenant = await app.AddTenantAsync(row, "acme");

        // Making a context is no use yet: its first command is.
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);

        Assert.Equal(0, await app.CountBackendsAsync(row));
        Assert.Equal(0, app.Connections.GetPoolMetrics(row.Name).Total);
    }

    [Fact]
    public async Task A_connection_that_nobody_used_has_metrics_of_zero_and_none_are_made_by_asking()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();

        var expected = new PoolMetrics { ConnectionName = row.Name };
        Assert.Equal(expected, app.Connections.GetPoolMetrics(row.Name));
        Assert.Equal(expected, app.Connections.GetPoolMetrics(row.Name));
        Assert.Empty(app.Services.GetRequiredService<TenantDataSources>().Current);
    }

    [Fact]
    public async Task Many_tenants_of_a_database_share_its_one_connection()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var tenants = new List<Tenant>();
        for (var i = 0; i < 20; i++)
        {
            tenants.Add(await app.AddTenantAsync(row, $"t{i:00}"));
        }

        foreach (var tenant in tenants)
        {
            await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            Assert.Equal(tenant.Slug, (await context.Items.SingleAsync(Ct)).Owner);
            await using var connection = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
            await using var command = new NpgsqlCommand("SELECT owner FROM items", connection);
            Assert.Equal(tenant.Slug, await command.ExecuteScalarAsync(Ct));
        }

        Assert.Equal(1, await app.CountBackendsAsync(row));
        Assert.Equal([row.Name], app.Services.GetRequiredService<TenantDataSources>().Current.Select(s => s.Row.Name));
        Assert.Equal(row.MaxPoolSize, app.Connections.GetPoolMetrics(row.Name).Max);
    }

    [Fact]
    public async Task Sixty_four_first_uses_at_once_build_one_pool()
    {
        // Nobody goes on before all have looked: each of them has seen that there is no pool.
        var logs = new CountingLoggers();
        await using var app = new RuntimeApp(
            servers.Postgres,
            configure: services => services.AddSingleton<ILoggerFactory>(logs)
        );
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 5 });
        var looked = 0;
        var allHaveLooked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        app.Registry.Delay = () =>
        {
            if (Interlocked.Increment(ref looked) == 64)
            {
                allHaveLooked.SetResult();
            }

            return allHaveLooked.Task;
        };

        var sources = await Task.WhenAll(
            Enumerable
                .Range(0, 64)
                .Select(_ =>
                    Task.Factory.StartNew(
                            async () => await app.Connections.GetDataSourceAsync(row.Name, Ct),
                            Ct,
                            TaskCreationOptions.LongRunning,
                            TaskScheduler.Default
                        )
                        .Unwrap()
                )
        );

        Assert.Equal(1, logs.Pools);
        Assert.Single(sources.Distinct());
        Assert.Equal([row.Name], app.Services.GetRequiredService<TenantDataSources>().Current.Select(s => s.Row.Name));
        await Parallel.ForEachAsync(
            sources,
            Ct,
            async (_, ct) =>
            {
                await using var connection = await app.Connections.OpenConnectionAsync(row.Name, ct);
                await RuntimeApp.PidAsync(connection);
            }
        );
        Assert.InRange(await app.CountBackendsAsync(row), 1, 5);
    }

    [Fact]
    public async Task The_driver_counts_under_the_connections_name_with_no_secret_in_it()
    {
        var pools = new HashSet<string>(StringComparer.Ordinal);
        using var listener = new System.Diagnostics.Metrics.MeterListener();
        listener.InstrumentPublished = (instrument, listening) =>
        {
            if (instrument.Meter.Name == "Npgsql")
            {
                listening.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<int>(
            (_, _, tags, _) =>
            {
                foreach (var tag in tags)
                {
                    if (tag.Key == "db.client.connection.pool.name")
                    {
                        lock (pools)
                        {
                            pools.Add((string)tag.Value!);
                        }
                    }
                }
            }
        );
        listener.Start();
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        listener.RecordObservableInstruments();

        Assert.Contains(row.Name, pools);
        Assert.DoesNotContain(pools, name => name.Contains(row.Database, StringComparison.Ordinal));
        Assert.DoesNotContain(pools, name => name.Contains(servers.Postgres.Password, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Pool_metrics_are_those_of_the_moment()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 4 });
        var leased = new List<NpgsqlConnection>();
        for (var i = 0; i < 3; i++)
        {
            leased.Add(await app.Connections.OpenConnectionAsync(row.Name, Ct));
        }

        await leased[2].DisposeAsync();
        var now = app.Connections.GetPoolMetrics(row.Name);
        Assert.Equal((row.Name, 2, 1, 4, 0), (now.ConnectionName, now.Active, now.Idle, now.Max, now.Pending));
        Assert.Equal(3, app.Connections.GetPoolMetrics(row.Name).Total);
        Assert.Equal(0.5, app.Connections.GetPoolMetrics(row.Name).Saturation);

        leased.Add(await app.Connections.OpenConnectionAsync(row.Name, Ct));
        leased.Add(await app.Connections.OpenConnectionAsync(row.Name, Ct));
        var waiting = app.Connections.OpenConnectionAsync(row.Name, Ct).AsTask();
        await Eventually.EqualAsync(1, () => Task.FromResult(app.Connections.GetPoolMetrics(row.Name).Pending));
        Assert.Equal(1.0, app.Connections.GetPoolMetrics(row.Name).Saturation);

        foreach (var connection in leased)
        {
            await connection.DisposeAsync();
        }

        await using (await waiting) { }
        Assert.Equal(0, app.Connections.GetPoolMetrics(row.Name).Pending);
        Assert.Equal(0, app.Connections.GetPoolMetrics(row.Name).Active);
    }

    [Fact]
    public async Task Who_waits_is_counted_before_anybody_asked_for_metrics()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var tenant = await app.AddTenantAsync(row, "acme");
        await using var holder = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await holder.Database.OpenConnectionAsync(Ct);
        await using var waiter = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var waiting = waiter.Items.SingleAsync(Ct);

        var whileWaiting = app.Connections.GetPoolMetrics(row.Name).Pending;
        await holder.Database.CloseConnectionAsync();
        await waiting;

        Assert.Equal(1, whileWaiting);
        Assert.Equal(0, app.Connections.GetPoolMetrics(row.Name).Pending);
    }

    [Fact]
    public async Task The_configured_application_name_is_shown_by_the_server()
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:ApplicationName"] = "shop; with 'signs'" }
        );
        var row = await app.AddDatabaseAsync();

        await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        Assert.Equal("shop; with 'signs'", Assert.Single(await app.BackendsAsync(row)).ApplicationName);
    }

    [Fact]
    public async Task The_hosts_name_is_shown_where_none_is_configured()
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            configure: services =>
                services.AddSingleton<Microsoft.Extensions.Hosting.IHostEnvironment>(
                    new Microsoft.Extensions.Hosting.Internal.HostingEnvironment { ApplicationName = "shop-host" }
                )
        );
        var row = await app.AddDatabaseAsync();

        await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        Assert.Equal("shop-host", Assert.Single(await app.BackendsAsync(row)).ApplicationName);
    }

    /// <summary>The driver asks for its loggers while a data source is built: there the callers wait for each other.</summary>
    private sealed class CountingLoggers : ILoggerFactory
    {
        private int _pools;

        public int Pools => Volatile.Read(ref _pools);

        // The driver asks once for each data source.
        public ILogger CreateLogger(string categoryName)
        {
            if (categoryName == "Npgsql.Connection")
            {
                Interlocked.Increment(ref _pools);
            }

            return NullLogger.Instance;
        }

        public void AddProvider(ILoggerProvider provider) { }

        public void Dispose() { }
    }
}
