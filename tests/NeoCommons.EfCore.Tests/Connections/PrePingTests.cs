using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Time.Testing;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>A connection that sat idle is tried before its next lease; a busy one pays nothing.</summary>
public sealed class PrePingTests(TestServers servers)
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Dead_idle_connections_are_replaced_before_anybody_sees_them()
    {
        var (app, row, time) = await WithDeadIdleConnectionsAsync(prePing: true);
        await using var _ = app;
        time.Advance(Long);

        await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        Assert.True(await RuntimeApp.PidAsync(connection) > 0);
    }

    [Fact]
    public async Task Without_pre_ping_the_first_command_meets_the_dead_connection()
    {
        var (app, row, time) = await WithDeadIdleConnectionsAsync(prePing: false);
        await using var _ = app;
        time.Advance(Long);

        await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => RuntimeApp.PidAsync(connection));
    }

    [Fact]
    public async Task A_tenants_connection_is_replaced_too_and_bound()
    {
        var (app, row, time) = await WithDeadIdleConnectionsAsync(prePing: true);
        await using var _ = app;
        var tenant = await app.AddTenantAsync(row, "acme");
        time.Advance(Long);

        await using var connection = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
        await using var command = new NpgsqlCommand("SELECT owner FROM items", connection);

        Assert.Equal("acme", await command.ExecuteScalarAsync(Ct));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_context_works_on_after_its_idle_connections_died(bool async)
    {
        var (app, row, time) = await WithDeadIdleConnectionsAsync(prePing: true);
        await using var _ = app;
        var tenant = await app.AddTenantAsync(row, "acme");
        time.Advance(Long);

        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);

        Assert.Equal("acme", async ? (await context.Items.SingleAsync(Ct)).Owner : context.Items.Single().Owner);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Without_pre_ping_a_context_meets_the_dead_connection_with_what_it_cannot_repeat(bool async)
    {
        var (app, row, time) = await WithDeadIdleConnectionsAsync(prePing: false);
        await using var _ = app;
        var tenant = await app.AddTenantAsync(row, "acme");
        time.Advance(Long);

        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var failure = async
            ? await Record.ExceptionAsync(() => context.Database.ExecuteSqlAsync($"DELETE FROM items", Ct))
            : Record.Exception(() => context.Database.ExecuteSql($"DELETE FROM items"));

        Assert.NotNull(failure);
        Assert.Contains(Chain(failure), e => e is NpgsqlException);
    }

    [Fact]
    public async Task A_connection_that_was_a_contexts_a_moment_ago_counts_as_busy()
    {
        await using var proxied = await ProxiedAsync();
        var (app, proxy, row, time) = proxied;
        var tenant = await app.AddTenantAsync(row, "acme");
        await ReadAsync();
        time.Advance(Long);
        await ReadAsync();

        // The lease before ended now, however long ago the connection was opened.
        Assert.Equal(0, await RoundTripsOfALeaseAsync(app, proxy, row));

        async Task ReadAsync()
        {
            await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            await context.Items.SingleAsync(Ct);
        }
    }

    [Fact]
    public async Task A_busy_connection_pays_no_round_trip_and_an_idle_one_exactly_one()
    {
        await using var proxied = await ProxiedAsync();
        var (app, proxy, row, time) = proxied;
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }

        Assert.Equal(0, await RoundTripsOfALeaseAsync(app, proxy, row));
        time.Advance(TimeSpan.FromMilliseconds(499));
        Assert.Equal(0, await RoundTripsOfALeaseAsync(app, proxy, row));
        time.Advance(TimeSpan.FromMilliseconds(500));
        Assert.Equal(1, await RoundTripsOfALeaseAsync(app, proxy, row));
        Assert.Equal(0, await RoundTripsOfALeaseAsync(app, proxy, row));
    }

    [Fact]
    public async Task Without_pre_ping_an_idle_connection_pays_no_round_trip_either()
    {
        await using var proxied = await ProxiedAsync();
        var (app, proxy, row, time) = proxied;
        app.Registry.Change(row.Name, known => known with { PrePing = false });
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        time.Advance(Long);

        Assert.Equal(0, await RoundTripsOfALeaseAsync(app, proxy, row));
    }

    [Fact]
    public async Task A_long_lease_does_not_make_a_connection_idle()
    {
        await using var proxied = await ProxiedAsync();
        var (app, proxy, row, time) = proxied;
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct))
        {
            time.Advance(Long);
        }

        Assert.Equal(0, await RoundTripsOfALeaseAsync(app, proxy, row));
    }

    [Fact]
    public async Task A_whole_pool_of_dead_connections_costs_no_caller_an_error()
    {
        var (app, row, time) = await WithDeadIdleConnectionsAsync(prePing: true, count: 10);
        await using var _ = app;
        time.Advance(Long);

        var pids = new System.Collections.Concurrent.ConcurrentBag<int>();
        await Parallel.ForEachAsync(
            Enumerable.Range(0, 10),
            new ParallelOptions { MaxDegreeOfParallelism = 10, CancellationToken = Ct },
            async (_, ct) =>
            {
                await using var connection = await app.Connections.OpenConnectionAsync(row.Name, ct);
                pids.Add(await RuntimeApp.PidAsync(connection));
            }
        );

        Assert.Equal(10, pids.Count);
    }

    [Fact]
    public async Task Idle_connections_that_the_network_swallowed_are_replaced()
    {
        await using var proxied = await ProxiedAsync(
            new Dictionary<string, string?> { ["NeoCommons:Connections:PrePingTimeout"] = "00:00:01" }
        );
        var (app, proxy, row, time) = proxied;
        int before;
        await using (var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct))
        {
            before = await RuntimeApp.PidAsync(connection);
        }

        // The driver gives the old connection up after the trial and after its request to cancel it; the third that
        // is opened is the replacement.
        proxy.Blackhole();
        time.Advance(Long);
        var opening = app.Connections.OpenConnectionAsync(row.Name, Ct).AsTask();
        await Eventually.TrueAsync(() => proxy.Counters.Connections == 3);
        proxy.Restore();

        await using var replaced = await opening;
        Assert.NotEqual(before, await RuntimeApp.PidAsync(replaced));
    }

    [Fact]
    public async Task A_cancelled_trial_leaves_no_connection_open()
    {
        await using var proxied = await ProxiedAsync();
        var (app, proxy, row, time) = proxied;
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        time.Advance(Long);
        proxy.Blackhole(ProxyDirection.ToClient);

        using var cancelled = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var opening = app.Connections.OpenConnectionAsync(row.Name, cancelled.Token).AsTask();
        await Eventually.EqualAsync(1, () => Task.FromResult(app.Connections.GetPoolMetrics(row.Name).Active));
        await cancelled.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => opening);
        Assert.Equal(0, app.Connections.GetPoolMetrics(row.Name).Active);
        proxy.Restore();
        await using var next = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        Assert.True(await RuntimeApp.PidAsync(next) > 0);
    }

    private static async Task<long> RoundTripsOfALeaseAsync(RuntimeApp app, TcpFaultProxy proxy, DatabaseConnection row)
    {
        proxy.ResetCounters();
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct))
        {
            return proxy.Counters.RoundTrips;
        }
    }

    private static IEnumerable<Exception> Chain(Exception? e)
    {
        for (; e is not null; e = e.InnerException)
        {
            yield return e;
        }
    }

    private async Task<(RuntimeApp App, DatabaseConnection Row, FakeTimeProvider Time)> WithDeadIdleConnectionsAsync(
        bool prePing,
        int count = 3
    )
    {
        var time = new FakeTimeProvider();
        var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync(row => row with { PrePing = prePing, MaxPoolSize = count });
        var leased = new List<NpgsqlConnection>();
        for (var i = 0; i < count; i++)
        {
            leased.Add(await app.Connections.OpenConnectionAsync(row.Name, Ct));
        }

        foreach (var connection in leased)
        {
            await connection.DisposeAsync();
        }

        Assert.Equal(count, await app.CountBackendsAsync(row));
        await app.KillBackendsAsync(row);
        return (app, row, time);
    }

    private async Task<Proxied> ProxiedAsync(IReadOnlyDictionary<string, string?>? settings = null)
    {
        var time = new FakeTimeProvider();
        var app = new RuntimeApp(servers.Postgres, settings, time);
        var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        var row = await app.AddDatabaseAsync(row =>
            row with
            {
                Host = proxy.Host,
                Port = proxy.Port,
                PoolTimeout = TimeSpan.FromSeconds(5),
            }
        );
        return new Proxied(app, proxy, row, time);
    }

    private sealed record Proxied(RuntimeApp App, TcpFaultProxy Proxy, DatabaseConnection Row, FakeTimeProvider Time)
        : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await Proxy.DisposeAsync();
            await App.DisposeAsync();
        }
    }
}
