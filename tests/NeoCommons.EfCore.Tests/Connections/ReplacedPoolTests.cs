using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Time.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>Who waits on a pool that is full does not wait for one that is no more.</summary>
public sealed class ReplacedPoolTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_raw_connection_that_waits_is_opened_in_the_new_pool()
    {
        await using var app = new RuntimeApp(servers.Postgres, time: new FakeTimeProvider());
        var (before, after) = await TwoDatabasesAsync(app);
        await using var holding = await app.Connections.OpenConnectionAsync(before.Name, Ct);
        using var mayCancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var waiting = new[]
        {
            app.Connections.OpenConnectionAsync(before.Name, mayCancel.Token).AsTask(),
            app.Connections.OpenConnectionAsync(before.Name, CancellationToken.None).AsTask(),
        };
        await WaitersAsync(app, before, waiting.Length);

        app.Registry.Set(after with { MaxPoolSize = 3 });
        await using var first = await app.Connections.OpenConnectionAsync(before.Name, Ct);

        foreach (var moved in waiting)
        {
            await using var connection = await moved.WaitAsync(TimeSpan.FromMinutes(1), Ct);
            Assert.Equal(after.Database, connection.Database);
        }

        // And it was no end of the old one's lease that did it.
        Assert.Equal(before.Database, await ScalarAsync(holding, "SELECT current_database()"));
    }

    [Fact]
    public async Task Who_waits_moves_when_the_registry_tells_of_the_change_though_nobody_else_asks()
    {
        await using var app = new RuntimeApp(servers.Postgres, time: new FakeTimeProvider());
        var (before, after) = await TwoDatabasesAsync(app);
        await using var holding = await app.Connections.OpenConnectionAsync(before.Name, Ct);
        var waiting = app.Connections.OpenConnectionAsync(before.Name, Ct).AsTask();
        await WaitersAsync(app, before, 1);

        app.Registry.Set(after);
        app.Registry.Tell(before.Name);

        await using var moved = await waiting.WaitAsync(TimeSpan.FromMinutes(1), Ct);
        Assert.Equal(after.Database, moved.Database);
    }

    [Fact]
    public async Task A_pool_that_nobody_asks_for_any_more_is_closed_when_the_registry_tells_that_its_row_is_gone()
    {
        await using var app = new RuntimeApp(servers.Postgres, time: new FakeTimeProvider());
        var (row, _) = await TwoDatabasesAsync(app);
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        Assert.Equal(1, await app.CountBackendsAsync(row));

        app.Registry.Remove(row.Name);
        app.Registry.Tell(row.Name);

        await Eventually.EqualAsync(0, () => app.CountBackendsAsync(row));
    }

    [Fact]
    public async Task A_tenants_raw_connection_that_waits_is_opened_in_the_new_pool()
    {
        await using var app = new RuntimeApp(servers.Postgres, time: new FakeTimeProvider());
        var (before, after) = await TwoDatabasesAsync(app);
        var tenant = await app.AddTenantAsync(before, "acme");
        await app.AddTenantAsync(after, "acme");
        app.Tenants.Set(tenant);
        await using var holding = await app.Connections.OpenConnectionAsync(before.Name, Ct);
        var waiting = app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct).AsTask();
        await WaitersAsync(app, before, 1);

        app.Registry.Set(after with { MaxPoolSize = 2 });
        await using var first = await app.Connections.OpenConnectionAsync(before.Name, Ct);

        await using var moved = await waiting.WaitAsync(TimeSpan.FromMinutes(1), Ct);
        Assert.Equal(after.Database, await ScalarAsync(moved, "SELECT current_database()"));
        Assert.Equal("tenant_acme", await ScalarAsync(moved, "SELECT current_schema()"));
    }

    [Fact]
    public async Task Who_waits_for_a_row_that_is_switched_off_is_told_so()
    {
        await using var app = new RuntimeApp(servers.Postgres, time: new FakeTimeProvider());
        var (before, _) = await TwoDatabasesAsync(app);
        await using var holding = await app.Connections.OpenConnectionAsync(before.Name, Ct);
        var waiting = app.Connections.OpenConnectionAsync(before.Name, Ct).AsTask();
        await WaitersAsync(app, before, 1);

        app.Registry.Change(before.Name, row => row with { IsActive = false });
        var refusals = new[]
        {
            await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
                await app.Connections.OpenConnectionAsync(before.Name, Ct)
            ),
            await Assert.ThrowsAsync<ConnectionUnavailableException>(() =>
                waiting.WaitAsync(TimeSpan.FromMinutes(1), Ct)
            ),
        };

        Assert.All(refusals, refusal => Assert.Equal(ConnectionUnavailableReason.Inactive, refusal.Reason));
    }

    [Fact]
    public async Task A_context_that_waits_is_served_by_its_own_pool_until_the_deadline_and_woken_then()
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var (before, after) = await TwoDatabasesAsync(app);
        var tenant = await app.AddTenantAsync(before, "acme");
        await app.AddTenantAsync(after, "acme");
        app.Tenants.Set(tenant);
        await app.DirectAsync(after, "UPDATE tenant_acme.items SET owner = 'after'");
        var holding = await app.Connections.OpenConnectionAsync(before.Name, Ct);
        await using var patient = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var served = patient.Items.AsNoTracking().SingleAsync(Ct);
        await WaitersAsync(app, before, 1);

        app.Registry.Set(after);
        await using (var young = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct))
        {
            Assert.Equal("after", (await young.Items.AsNoTracking().SingleAsync(Ct)).Owner);
        }

        await holding.DisposeAsync();
        Assert.Equal("acme", (await served.WaitAsync(TimeSpan.FromMinutes(1), Ct)).Owner);

        await patient.Database.OpenConnectionAsync(Ct);
        app.Registry.Set(before);
        await using var holder = await app.Connections.OpenConnectionAsync(before.Name, Ct);
        await using var unlucky = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var woken = unlucky.Items.AsNoTracking().SingleAsync(Ct);
        await WaitersAsync(app, before, 1);
        app.Registry.Set(after);
        await using (await app.Connections.OpenConnectionAsync(before.Name, Ct)) { }

        time.Advance(TimeSpan.FromSeconds(29));
        Assert.False(woken.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));
        var late = await Assert.ThrowsAsync<ConnectionUnavailableException>(() =>
            woken.WaitAsync(TimeSpan.FromMinutes(1), Ct)
        );
        Assert.Equal(ConnectionUnavailableReason.Replaced, late.Reason);
    }

    [Fact]
    public async Task A_connection_that_comes_back_after_the_deadline_leaves_no_backend_behind()
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var (before, after) = await TwoDatabasesAsync(app);
        var tenant = await app.AddTenantAsync(before, "acme");
        var holding = await app.Connections.OpenConnectionAsync(before.Name, Ct);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);

        // A synchronous wait, which nothing but a connection that comes back ends.
        var waiting = Task.Factory.StartNew(
            () => context.Items.AsNoTracking().Single(),
            Ct,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default
        );
        await WaitersAsync(app, before, 1);
        app.Registry.Set(after);
        await using (await app.Connections.OpenConnectionAsync(before.Name, Ct)) { }

        time.Advance(TimeSpan.FromSeconds(30));
        await Eventually.TrueAsync(() => app.Connections.GetPoolMetrics(before.Name).Active == 0);
        await holding.DisposeAsync();

        var late = await Assert.ThrowsAsync<ConnectionUnavailableException>(() =>
            waiting.WaitAsync(TimeSpan.FromMinutes(1), Ct)
        );
        Assert.Equal(ConnectionUnavailableReason.Replaced, late.Reason);
        await Eventually.EqualAsync(0, () => app.CountBackendsAsync(before));
    }

    [Fact]
    public async Task A_slow_lookup_does_not_bring_back_a_row_that_is_no_more()
    {
        await using var app = new RuntimeApp(servers.Postgres, time: new FakeTimeProvider());
        var (before, after) = await TwoDatabasesAsync(app);
        await using (await app.Connections.OpenConnectionAsync(before.Name, Ct)) { }
        var lookedUp = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        app.Registry.Delay = () => lookedUp.Task;
        var slow = app.Connections.OpenConnectionAsync(before.Name, Ct).AsTask();
        app.Registry.Delay = null;
        app.Registry.Set(after);
        await using (await app.Connections.OpenConnectionAsync(before.Name, Ct)) { }

        lookedUp.SetResult();

        await using var late = await slow;
        Assert.Equal(after.Database, late.Database);
    }

    // Pools of one connection, and no wait ends by itself.
    private static async Task<(DatabaseConnection Before, DatabaseConnection After)> TwoDatabasesAsync(RuntimeApp app)
    {
        var before = await app.AddDatabaseAsync(row =>
            row with
            {
                MaxPoolSize = 1,
                PoolTimeout = TimeSpan.FromSeconds(1024),
            }
        );
        return (before, (await app.NewDatabaseAsync()) with { Name = before.Name, MaxPoolSize = 2 });
    }

    private static Task WaitersAsync(RuntimeApp app, DatabaseConnection row, int count) =>
        Eventually.TrueAsync(() => app.Connections.GetPoolMetrics(row.Name).Pending == count);

    private static async Task<object?> ScalarAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(Ct);
    }
}
