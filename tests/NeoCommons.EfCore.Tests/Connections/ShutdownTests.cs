using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Tests.Hosts;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>When the host stops, what is at work ends, nothing begins, and no connection is left.</summary>
public sealed class ShutdownTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_is_at_work_ends_and_nothing_begins()
    {
        await using var app = App("00:01:00");
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var connection = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);

        var stopping = StopAsync(app, Ct);

        Assert.Single(context.Items.ToList());
        await using (var command = new NpgsqlCommand("INSERT INTO items VALUES (2, 'acme')", connection))
        {
            await command.ExecuteNonQueryAsync(Ct);
        }

        foreach (
            var attempt in new Func<Task>[]
            {
                async () => await app.Contexts.CreateDbContextAsync(tenant.Id, Ct),
                async () => await app.Connections.OpenConnectionAsync(row.Name, Ct),
                async () => await app.Connections.GetDataSourceAsync(row.Name, Ct),
            }
        )
        {
            var refusal = await Assert.ThrowsAsync<ConnectionUnavailableException>(attempt);
            Assert.Equal(ConnectionUnavailableReason.ShuttingDown, refusal.Reason);
        }

        Assert.False(stopping.IsCompleted);
        await context.DisposeAsync();
        await connection.DisposeAsync();
        await stopping;
        await Eventually.EqualAsync(0, () => app.CountBackendsAsync(row));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_does_not_end_in_time_is_ended(bool byTheHost)
    {
        await using var app = App(byTheHost ? "1.00:00:00" : "00:00:01");
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        await using var connection = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
        await using var idle = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await using var command = new NpgsqlCommand("SELECT pg_sleep(3600)", connection);
        var working = command.ExecuteNonQueryAsync(Ct);
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(1));

        await StopAsync(app, byTheHost ? deadline.Token : Ct);

        var ended = await Assert.ThrowsAsync<PostgresException>(() => working);
        Assert.Equal(PostgresErrorCodes.AdminShutdown, ended.SqlState);
        await Eventually.EqualAsync(0, () => app.CountBackendsAsync(row));
    }

    [Fact]
    public async Task What_does_not_end_in_time_is_ended_at_each_host()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp(
            new Dictionary<string, string?> { ["NeoCommons:Connections:DrainTimeout"] = "00:00:01" }
        );
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
        await using var reader = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);
        await reader.Database.OpenConnectionAsync(Ct);
        Assert.True(await ReadOnlyContextTests.IsStandbyAsync(reader));
        await using var writer = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
        var working = new[] { writer, (NpgsqlConnection)reader.Database.GetDbConnection() }
            .Select(async connection =>
            {
                await using var command = new NpgsqlCommand("SELECT pg_sleep(3600)", connection) { CommandTimeout = 0 };
                await command.ExecuteNonQueryAsync(Ct);
            })
            .ToList();

        await StopAsync(app, Ct);

        foreach (var work in working)
        {
            var ended = await Assert.ThrowsAsync<PostgresException>(() => work);
            Assert.Equal(PostgresErrorCodes.AdminShutdown, ended.SqlState);
        }

        foreach (var server in new[] { pair.Primary, pair.Standby })
        {
            await Eventually.EqualAsync<object?>(
                0L,
                () =>
                    Pair.ScalarAsync(
                        server,
                        "postgres",
                        $"SELECT count(*) FROM pg_stat_activity WHERE datname = '{row.Database}' AND application_name <> '{RuntimeApp.Direct}'"
                    )
            );
        }
    }

    [Fact]
    public async Task Who_waits_for_a_connection_when_the_time_is_over_is_told_so()
    {
        await using var app = App("00:00:01");
        var row = await app.AddDatabaseAsync(row =>
            row with
            {
                MaxPoolSize = 1,
                PoolTimeout = TimeSpan.FromSeconds(1000),
            }
        );
        var tenant = await app.AddTenantAsync(row, "acme");
        await using var held = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await using var one = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await using var other = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        Task[] waiting =
        [
            app.Connections.OpenConnectionAsync(row.Name, Ct).AsTask(),
            one.Items.ToListAsync(Ct),
            Task.Factory.StartNew(
                () => other.Items.ToList(),
                Ct,
                TaskCreationOptions.LongRunning,
                TaskScheduler.Default
            ),
        ];
        await Eventually.EqualAsync(
            waiting.Length,
            () => Task.FromResult(app.Connections.GetPoolMetrics(row.Name).Pending)
        );

        // The one that is held is never given back.
        await StopAsync(app, Ct).WaitAsync(TimeSpan.FromMinutes(1), Ct);

        foreach (var waiter in waiting)
        {
            var refusal = await Assert.ThrowsAsync<ConnectionUnavailableException>(() =>
                waiter.WaitAsync(TimeSpan.FromMinutes(1), Ct)
            );
            Assert.Equal(ConnectionUnavailableReason.ShuttingDown, refusal.Reason);
        }

        Assert.Equal(0, app.Connections.GetPoolMetrics(row.Name).Pending);
    }

    [Fact]
    public async Task The_sessions_of_other_processes_stay()
    {
        await using var other = App("00:00:00");
        await using var app = App("00:00:00");
        var row = await app.AddDatabaseAsync();
        other.Registry.Set(row);
        await using var theirs = await other.Connections.OpenConnectionAsync(row.Name, Ct);
        await using var ours = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        await StopAsync(app, Ct);

        await Eventually.EqualAsync(1, () => app.CountBackendsAsync(row));
        Assert.True(await RuntimeApp.PidAsync(theirs) > 0);
    }

    private static async Task StopAsync(RuntimeApp app, CancellationToken ct)
    {
        foreach (var service in app.Services.GetServices<IHostedService>().OfType<IHostedLifecycleService>())
        {
            await service.StoppedAsync(ct);
        }
    }

    private RuntimeApp App(string drainTimeout) =>
        new(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:DrainTimeout"] = drainTimeout }
        );
}
