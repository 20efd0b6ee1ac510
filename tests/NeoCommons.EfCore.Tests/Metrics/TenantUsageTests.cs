using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Time.Testing;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Metrics;

/// <summary>Who takes most of a pool.</summary>
public sealed class TenantUsageTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Those_who_hold_connections_longest_come_first_also_while_they_hold_them()
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 10 });
        var acme = await app.AddTenantAsync(row, "acme");
        var globex = await app.AddTenantAsync(row, "globex");

        await using var first = await OpenAsync(app, acme);
        await using var second = await OpenAsync(app, acme);
        await using (await OpenAsync(app, globex))
        {
            time.Advance(TimeSpan.FromSeconds(5));
        }

        time.Advance(TimeSpan.FromSeconds(10));

        var top = app.Connections.GetTopTenants();
        Assert.Equal(["acme", "globex"], top.Select(t => t.Slug));
        Assert.Equal(
            (acme.Id, row.Name, 2, 2L),
            (top[0].TenantId, top[0].ConnectionName, top[0].Open, top[0].Acquisitions)
        );
        Assert.Equal(TimeSpan.FromSeconds(30), top[0].ConnectionTime);
        Assert.Equal((0, 1L, TimeSpan.FromSeconds(5)), (top[1].Open, top[1].Acquisitions, top[1].ConnectionTime));
        Assert.Equal("acme", Assert.Single(app.Connections.GetTopTenants(1)).Slug);
        Assert.Empty(app.Connections.GetTopTenants(connectionName: "another"));
        Assert.Throws<ArgumentOutOfRangeException>(() => app.Connections.GetTopTenants(0));

        // What came back longer ago than the window is no more; what is held still is.
        await second.DisposeAsync();
        time.Advance(TimeSpan.FromSeconds(61));
        top = app.Connections.GetTopTenants();
        Assert.Equal((1, 0L), (top[0].Open, top[0].Acquisitions));
        Assert.Equal(TimeSpan.FromSeconds(76), top[0].ConnectionTime);
        Assert.DoesNotContain(top, t => t.Slug == "globex" && t.ConnectionTime > TimeSpan.Zero);
    }

    [Fact]
    public async Task Who_waits_for_the_pool_has_held_nothing()
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync(row =>
            row with
            {
                MaxPoolSize = 1,
                Type = ConnectionType.Dedicated,
                PoolTimeout = TimeSpan.FromMinutes(1),
            }
        );
        var acme = await app.AddTenantAsync(row, "acme");
        var globex = await app.AddTenantAsync(row, "globex");
        await using var greedy = await OpenAsync(app, acme);
        var waiting = Enumerable.Range(0, 3).Select(_ => OpenAsync(app, globex)).ToList();
        await Eventually.EqualAsync(3, () => Task.FromResult(app.Connections.GetPoolMetrics(row.Name).Pending));

        time.Advance(TimeSpan.FromSeconds(30));

        var top = Assert.Single(app.Connections.GetTopTenants(), usage => usage.ConnectionTime > TimeSpan.Zero);
        Assert.Equal(("acme", TimeSpan.FromSeconds(30), 1), (top.Slug, top.ConnectionTime, top.Open));

        await greedy.DisposeAsync();
        foreach (var next in waiting)
        {
            await (await next).DisposeAsync();
        }

        var after = app.Connections.GetTopTenants().Single(usage => usage.Slug == "globex");
        Assert.Equal((0, 3L, TimeSpan.Zero), (after.Open, after.Acquisitions, after.ConnectionTime));
    }

    [Fact]
    public async Task What_came_back_last_stays_for_a_window()
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync();
        var acme = await app.AddTenantAsync(row, "acme");
        await using (await OpenAsync(app, acme))
        {
            // Over the first look at who is idle, and back right before the next.
            time.Advance(TimeSpan.FromSeconds(110));
        }

        time.Advance(TimeSpan.FromSeconds(20));

        var usage = Assert.Single(app.Connections.GetTopTenants());
        Assert.Equal(TimeSpan.FromSeconds(110), usage.ConnectionTime);
    }

    [Fact]
    public async Task Commands_and_refusals_are_the_tenants_own()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 10 });
        var acme = (await app.AddTenantAsync(row, "acme")) with { Limits = new() { CommandsPerSecond = 3 } };
        app.Tenants.Set(acme);
        await app.AddTenantAsync(row, "globex");

        await using var items = await app.Contexts.CreateDbContextAsync(acme.Id, Ct);
        var sent = 0L;
        while (await Record.ExceptionAsync(() => items.Items.ToListAsync(Ct)) is not TenantQuotaExceededException)
        {
            sent++;
        }

        // Who did nothing takes no place.
        var usage = Assert.Single(app.Connections.GetTopTenants(connectionName: row.Name));
        Assert.Equal(("acme", sent, 1L, 0), (usage.Slug, usage.Commands, usage.Refusals, usage.Waiting));
    }

    private static async Task<ItemsContext> OpenAsync(RuntimeApp app, Tenant tenant)
    {
        var items = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await items.Database.OpenConnectionAsync(Ct);
        return items;
    }
}
