using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Time.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>Pools close when asked, after their leases, and with the host.</summary>
public sealed class ClosingTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Closing_one_pool_leaves_the_others_and_the_next_use_builds_a_new_one()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var one = await app.AddDatabaseAsync();
        var two = await app.AddDatabaseAsync();
        foreach (var row in new[] { one, two })
        {
            await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        }

        await app.Connections.CloseAsync(one.Name);

        await Eventually.EqualAsync(0, () => app.CountBackendsAsync(one));
        Assert.Equal(1, await app.CountBackendsAsync(two));
        Assert.Equal(0, app.Connections.GetPoolMetrics(one.Name).Total);
        await using var again = await app.Connections.OpenConnectionAsync(one.Name, Ct);
        Assert.True(await RuntimeApp.PidAsync(again) > 0);
    }

    [Fact]
    public async Task Closing_waits_for_what_is_leased_and_closes_the_idle_at_once()
    {
        await using var app = new RuntimeApp(servers.Postgres, time: new FakeTimeProvider());
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        var leased = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        Assert.Equal(2, await app.CountBackendsAsync(row));

        var closing = app.Connections.CloseAsync(row.Name);

        await Eventually.EqualAsync(1, () => app.CountBackendsAsync(row));
        Assert.False(closing.IsCompleted);
        await using (var command = new NpgsqlCommand("SELECT owner FROM items", leased))
        {
            Assert.Equal("acme", await command.ExecuteScalarAsync(Ct));
        }

        await leased.DisposeAsync();
        await closing.WaitAsync(TimeSpan.FromMinutes(1), Ct);
        await Eventually.EqualAsync(0, () => app.CountBackendsAsync(row));
    }

    [Fact]
    public async Task Callers_who_wait_for_a_pool_that_is_closed_are_served_as_leases_end()
    {
        await using var app = new RuntimeApp(servers.Postgres, time: new FakeTimeProvider());
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var leased = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        var waiting = app.Connections.OpenConnectionAsync(row.Name, Ct).AsTask();
        await Eventually.EqualAsync(1, () => Task.FromResult(app.Connections.GetPoolMetrics(row.Name).Pending));

        var closing = app.Connections.CloseAsync(row.Name);
        await leased.DisposeAsync();

        await using (var served = await waiting.WaitAsync(TimeSpan.FromMinutes(1), Ct))
        {
            Assert.True(await RuntimeApp.PidAsync(served) > 0);
        }

        await closing.WaitAsync(TimeSpan.FromMinutes(1), Ct);
    }

    [Fact]
    public async Task Closing_all_closes_every_pool()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var rows = new[] { await app.AddDatabaseAsync(), await app.AddDatabaseAsync(), await app.AddDatabaseAsync() };
        foreach (var row in rows)
        {
            await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        }

        await app.Connections.CloseAllAsync();

        foreach (var row in rows)
        {
            await Eventually.EqualAsync(0, () => app.CountBackendsAsync(row));
        }
    }

    [Fact]
    public async Task Closing_what_was_never_used_or_is_not_registered_is_no_error()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();

        await app.Connections.CloseAsync(row.Name);
        await app.Connections.CloseAsync("nobody");
        await app.Connections.CloseAllAsync();
    }

    [Fact]
    public async Task A_disposed_host_leaves_no_backend()
    {
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        await using var helper = new RuntimeApp(servers.Postgres);
        var row = await helper.AddDatabaseAsync();
        builder.Services.AddSingleton<IConnectionRegistry>(helper.Registry);
        builder.Services.AddSingleton<ITenantStore>(helper.Tenants);
        builder.Services.AddNeoCommons(builder.Configuration);
        IDatabaseConnections connections;
        using (var host = builder.Build())
        {
            await host.StartAsync(Ct);
            connections = host.Services.GetRequiredService<IDatabaseConnections>();
            await using (await connections.OpenConnectionAsync(row.Name, Ct)) { }

            // The session that looked for a pooler may not have ended yet.
            await Eventually.EqualAsync(1, () => helper.CountBackendsAsync(row));
            await host.StopAsync(Ct);
        }

        await Eventually.EqualAsync(0, () => helper.CountBackendsAsync(row));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () =>
            await connections.OpenConnectionAsync(row.Name, Ct)
        );
    }

    [Fact]
    public async Task Disposal_waits_for_work_in_flight_on_replaced_pools_too()
    {
        await using var helper = new RuntimeApp(servers.Postgres);
        var app = new RuntimeApp(servers.Postgres, time: new FakeTimeProvider());
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        var current = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        app.Registry.Change(row.Name, known => known with { MaxPoolSize = 7 });
        var young = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await young.Items.SingleAsync(Ct);

        var disposing = app.DisposeAsync().AsTask();
        await young.DisposeAsync();
        Assert.True(await RuntimeApp.PidAsync(current) > 0);
        Assert.NotSame(disposing, await Task.WhenAny(disposing, Task.Delay(500, Ct)));

        await current.DisposeAsync();
        await disposing.WaitAsync(TimeSpan.FromMinutes(1), Ct);
        await Eventually.EqualAsync(0, () => helper.CountBackendsAsync(row));
    }

    [Fact]
    public async Task Disposal_does_not_wait_for_a_replaced_data_source_that_was_handed_out()
    {
        var app = new RuntimeApp(servers.Postgres, time: new FakeTimeProvider());
        var row = await app.AddDatabaseAsync();
        await app.Connections.GetDataSourceAsync(row.Name, Ct);
        app.Registry.Change(row.Name, known => known with { MaxPoolSize = 7 });
        await app.Connections.GetDataSourceAsync(row.Name, Ct);

        await app.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromMinutes(1), Ct);
    }

    [Fact]
    public async Task A_close_that_was_not_awaited_is_waited_for_when_all_are_closed()
    {
        await using var app = new RuntimeApp(servers.Postgres, time: new FakeTimeProvider());
        var row = await app.AddDatabaseAsync();
        var lease = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        var closing = app.Connections.CloseAsync(row.Name);
        var all = app.Connections.CloseAllAsync();

        Assert.False(all.IsCompleted);
        await lease.DisposeAsync();
        await Task.WhenAll(closing, all).WaitAsync(TimeSpan.FromMinutes(1), Ct);
    }
}
