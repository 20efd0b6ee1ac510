using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Quotas;

/// <summary>Tenants take turns at a pool that is full; the driver's own queue would serve who came first.</summary>
public sealed class FairPoolTests(TestServers servers)
{
    private const int Hungry = 300;
    private const int Small = 19;

    // Many times what anything here takes.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_small_tenant_waits_for_one_caller_of_each_other_tenant_whatever_a_hungry_one_asks_for(
        bool shared
    )
    {
        // On a connection that is not shared the hungry tenant has no limit of its own: the turns are all there is.
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row =>
            row with
            {
                MaxPoolSize = 2,
                Type = shared ? ConnectionType.Shared : ConnectionType.Dedicated,
                PoolTimeout = TimeSpan.FromMinutes(5),
            }
        );
        var hungry = await app.AddTenantAsync(row, "hungry");
        var small = new List<Tenant>();
        for (var i = 0; i < Small; i++)
        {
            small.Add(await app.AddTenantAsync(row, $"small{i}"));
        }

        // Nobody is served before all stand in line.
        var held = new List<NpgsqlConnection>
        {
            await app.Connections.OpenConnectionAsync(row.Name, Ct),
            await app.Connections.OpenConnectionAsync(row.Name, Ct),
        };
        var served = new List<string>();
        var work = Enumerable.Range(0, Hungry).Select(_ => ServeAsync(hungry)).ToList();
        work.AddRange(small.Select(ServeAsync));
        await Eventually.EqualAsync(
            Hungry + Small,
            () => Task.FromResult(app.Connections.GetPoolMetrics(row.Name).Pending)
        );
        foreach (var connection in held)
        {
            await connection.DisposeAsync();
        }

        await Task.WhenAll(work);

        // So many tenants wait, and two connections are served at once.
        Assert.All(small, tenant => Assert.InRange(served.IndexOf(tenant.Slug), 0, Small + 2));
        Assert.Equal(0, await Held.OfPoolAsync(app, row));
        Assert.Equal(0, app.Connections.GetPoolMetrics(row.Name).Pending);
        Assert.InRange(await app.CountBackendsAsync(row), 1, 2);

        async Task ServeAsync(Tenant tenant)
        {
            await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            await context.Database.OpenConnectionAsync(Ct);
            lock (served)
            {
                served.Add(tenant.Slug);
            }

            Assert.Equal(tenant.Slug, (await context.Items.SingleAsync(Ct)).Owner);
        }
    }

    [Fact]
    public async Task Work_of_no_tenant_has_a_turn_too()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var hungry = await app.AddTenantAsync(row, "hungry");
        var held = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        var waiting = Enumerable
            .Range(0, 20)
            .Select(_ => app.Connections.OpenTenantConnectionAsync(hungry.Id, Ct).AsTask())
            .ToList();
        var nobody = app.Connections.OpenConnectionAsync(row.Name, Ct).AsTask();

        await held.DisposeAsync();
        await (await waiting[0]).DisposeAsync();
        await (await nobody).DisposeAsync();

        Assert.False(waiting[^1].IsCompleted);
        foreach (var one in waiting.Skip(1))
        {
            await (await one).DisposeAsync();
        }
    }

    [Fact]
    public async Task Of_two_hundred_who_wait_half_are_cancelled_and_half_end_at_the_timeout_and_none_leaves_anything()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 2 });
        var held = new List<NpgsqlConnection>
        {
            await app.Connections.OpenConnectionAsync(row.Name, Ct),
            await app.Connections.OpenConnectionAsync(row.Name, Ct),
        };
        using var giveUp = new CancellationTokenSource();
        var cancelled = Enumerable
            .Range(0, 100)
            .Select(_ => app.Connections.OpenConnectionAsync(row.Name, giveUp.Token).AsTask())
            .ToList();
        var patient = Enumerable
            .Range(0, 100)
            .Select(_ => app.Connections.OpenConnectionAsync(row.Name, Ct).AsTask())
            .ToList();

        await giveUp.CancelAsync();
        foreach (var one in cancelled)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => one.WaitAsync(Patience, Ct));
        }

        time.Advance(row.PoolTimeout - TimeSpan.FromSeconds(1));
        Assert.DoesNotContain(patient, one => one.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));
        foreach (var one in patient)
        {
            var full = await Assert.ThrowsAsync<ConnectionUnavailableException>(() => one.WaitAsync(Patience, Ct));
            Assert.Equal(ConnectionUnavailableReason.PoolExhausted, full.Reason);
            Assert.Contains(
                "all 2 connections of its pool were in use for 30 s",
                full.Message,
                StringComparison.Ordinal
            );
        }

        Assert.Equal(2, await Held.OfPoolAsync(app, row));
        foreach (var connection in held)
        {
            await connection.DisposeAsync();
        }

        Assert.Equal(0, await Held.OfPoolAsync(app, row));
        Assert.Equal((2, 0, 0), Counts(app.Connections.GetPoolMetrics(row.Name)));
    }

    [Fact]
    public async Task Of_two_hundred_who_wait_all_are_woken_when_everything_is_disposed_and_synchronous_ones_too()
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:DrainTimeout"] = "00:00:00" }
        );
        var row = await app.AddDatabaseAsync(row =>
            row with
            {
                MaxPoolSize = 1,
                Type = ConnectionType.Dedicated,
                PoolTimeout = TimeSpan.FromSeconds(1024),
            }
        );
        var tenant = await app.AddTenantAsync(row, "acme");
        await using var held = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        var source = await app.AcquireAsync(row.Name);
        var waiting = new List<Task>();
        for (var i = 0; i < 100; i++)
        {
            waiting.Add(
                Task.Factory.StartNew(
                        () => ReadAsync(async: false),
                        Ct,
                        TaskCreationOptions.LongRunning,
                        TaskScheduler.Default
                    )
                    .Unwrap()
            );
            waiting.Add(
                i % 2 == 0 ? ReadAsync(async: true) : app.Connections.OpenConnectionAsync(row.Name, Ct).AsTask()
            );
        }

        await Eventually.EqualAsync(200, () => Task.FromResult(source.Gate.Waiting));
        await app.Services.GetRequiredService<TenantDataSources>().DisposeAsync().AsTask().WaitAsync(Patience, Ct);

        // The one that holds the connection still does: nothing came back.
        foreach (var one in waiting)
        {
            var woken = await Record.ExceptionAsync(() => one.WaitAsync(Patience, Ct));
            Assert.True(
                woken
                    is ConnectionUnavailableException { Reason: ConnectionUnavailableReason.Replaced }
                        or ObjectDisposedException,
                $"{woken}"
            );
        }

        Assert.Equal((1, 0), (source.Gate.Taken, source.Gate.Waiting));
        await held.DisposeAsync();
        Assert.Equal(0, source.Gate.Taken);

        async Task ReadAsync(bool async)
        {
            await using var context = async
                ? await app.Contexts.CreateDbContextAsync(tenant.Id, Ct)
                : app.Contexts.CreateDbContextAsync(tenant.Id, Ct).AsTask().GetAwaiter().GetResult();
            _ = async ? await context.Items.SingleAsync(Ct) : context.Items.Single();
        }
    }

    [Fact]
    public async Task A_synchronous_caller_is_woken_when_the_pool_is_replaced()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync(row =>
            row with
            {
                MaxPoolSize = 1,
                PoolTimeout = TimeSpan.FromSeconds(1024),
            }
        );
        var tenant = await app.AddTenantAsync(row, "acme");
        await using var held = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var waiting = Task.Factory.StartNew(
            () => context.Items.Single(),
            Ct,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default
        );
        await Eventually.EqualAsync(1, () => Task.FromResult(app.Connections.GetPoolMetrics(row.Name).Pending));

        var closing = app.Connections.CloseAsync(row.Name);
        time.Advance(TimeSpan.FromSeconds(30));

        // The one that holds a connection still does: nothing came back.
        var woken = await Assert.ThrowsAsync<ConnectionUnavailableException>(() => waiting);
        Assert.Equal(ConnectionUnavailableReason.Replaced, woken.Reason);
        await closing;
    }

    private static (int, int, int) Counts(PoolMetrics pool) => (pool.Idle, pool.Active, pool.Pending);
}
