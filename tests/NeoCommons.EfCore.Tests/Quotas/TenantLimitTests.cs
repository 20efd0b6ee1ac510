using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Time.Testing;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Quotas;

/// <summary>What one tenant may take, and what he is told who wants more.</summary>
public sealed class TenantLimitTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(ConnectionType.Shared, 5, null, null, 3)]
    [InlineData(ConnectionType.Shared, 5, null, "0.2", 1)]
    [InlineData(ConnectionType.Shared, 5, null, "1", 5)]
    [InlineData(ConnectionType.Shared, 5, 2, null, 2)]
    [InlineData(ConnectionType.Shared, 5, 100, null, 5)]
    [InlineData(ConnectionType.Shared, 1, null, null, 1)]
    [InlineData(ConnectionType.Dedicated, 5, null, null, 5)]
    [InlineData(ConnectionType.Dedicated, 5, 2, null, 2)]
    [InlineData(ConnectionType.Analytics, 5, null, null, 5)]
    public async Task A_tenant_holds_no_more_than_its_limit_and_another_one_gets_the_rest(
        ConnectionType type,
        int pool,
        int? limit,
        string? share,
        int expected
    )
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            share is null
                ? null
                : new Dictionary<string, string?> { ["NeoCommons:Connections:Quotas:TenantConnectionShare"] = share }
        );
        var row = await app.AddDatabaseAsync(row => row with { Type = type, MaxPoolSize = pool });
        var acme = await AddAsync(app, row, "acme", new TenantLimits { MaxConnections = limit });
        var globex = await AddAsync(app, row, "globex", TenantLimits.None);

        var opening = Enumerable.Range(0, pool + 3).Select(_ => OpenAsync(app, acme)).ToList();
        await Eventually.EqualAsync(expected, () => Task.FromResult(opening.Count(o => o.IsCompletedSuccessfully)));
        Assert.Equal(opening.Count - expected, app.Connections.GetPoolMetrics(row.Name).Pending);
        if (expected < pool)
        {
            await using (await OpenAsync(app, globex)) { }
        }

        // Each that comes back lets one in, and no second one.
        for (var i = 0; i < opening.Count; i++)
        {
            Assert.InRange(await Held.OfPoolAsync(app, row), 0, pool);
            Assert.InRange(app.Connections.GetPoolMetrics(row.Name).Active, 0, expected);
            await (await opening[i]).DisposeAsync();
        }

        Assert.Equal((0, 0), await Held.OfTenantAsync(app, acme, row));
        Assert.Equal(0, app.Connections.GetPoolMetrics(row.Name).Pending);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Who_waits_for_longer_than_the_pool_timeout_is_told_what_to_do(bool async)
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 4 });
        var acme = await AddAsync(app, row, "acme", new TenantLimits { MaxConnections = 1 });
        await using var holding = await OpenAsync(app, acme);

        // One request with two contexts of a tenant that may have one.
        await using var second = await app.Contexts.CreateDbContextAsync(acme.Id, Ct);
        var waiting = async
            ? second.Items.ToListAsync(Ct)
            : Task.Factory.StartNew(
                () => second.Items.ToList(),
                Ct,
                TaskCreationOptions.LongRunning,
                TaskScheduler.Default
            );
        await Eventually.EqualAsync((1, 1), () => Held.OfTenantAsync(app, acme, row));
        time.Advance(row.PoolTimeout);

        var refused = await Assert.ThrowsAsync<TenantQuotaExceededException>(() => waiting);
        Assert.Equal(
            (acme.Id, "acme", TenantQuota.Connections, 1),
            (refused.TenantId, refused.Slug, refused.Quota, refused.Limit)
        );
        Assert.True(refused.RetryAfter > TimeSpan.Zero);
        Assert.Contains("1 of 1 connections taken", refused.Message, StringComparison.Ordinal);
        Assert.Contains("tenants limits acme --max-connections", refused.Message, StringComparison.Ordinal);
        Assert.Contains("second connection of the tenant", refused.Message, StringComparison.Ordinal);
        Assert.Equal((1, 0), await Held.OfTenantAsync(app, acme, row));
    }

    [Fact]
    public async Task Who_has_waited_for_his_tenant_waits_for_the_pool_for_the_rest_of_the_time()
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 2 });
        var acme = await AddAsync(app, row, "acme", new TenantLimits { MaxConnections = 1 });
        var held = await OpenAsync(app, acme);
        await using var other = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        var waiting = OpenAsync(app, acme);
        time.Advance(row.PoolTimeout * 0.75);
        var faster = app.Connections.OpenConnectionAsync(row.Name, Ct).AsTask();

        // His tenant's turn is his then, and the pool's is somebody else's.
        await held.DisposeAsync();
        await using var another = await faster;
        await Eventually.EqualAsync(1, () => Held.LookAsync(app, row, source => source.Gate.Waiting));
        time.Advance(row.PoolTimeout * 0.25);

        var refused = await Assert.ThrowsAsync<ConnectionUnavailableException>(() =>
            waiting.WaitAsync(TimeSpan.FromSeconds(30), Ct)
        );
        Assert.Equal(ConnectionUnavailableReason.PoolExhausted, refused.Reason);
        Assert.Equal((0, 0), await Held.OfTenantAsync(app, acme, row));
    }

    [Fact]
    public async Task As_many_as_may_wait_do_and_the_next_one_is_refused_at_once()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 4 });
        var acme = await AddAsync(app, row, "acme", new TenantLimits { MaxConnections = 1, MaxWaiting = 2 });
        var holding = await OpenAsync(app, acme);
        var waiting = new[] { OpenAsync(app, acme), OpenAsync(app, acme) };

        var refused = await Assert.ThrowsAsync<TenantQuotaExceededException>(() => OpenAsync(app, acme));

        Assert.Equal((TenantQuota.Waiting, 2), (refused.Quota, refused.Limit));
        Assert.Contains("--max-waiting", refused.Message, StringComparison.Ordinal);
        await holding.DisposeAsync();
        foreach (var next in waiting)
        {
            await (await next).DisposeAsync();
        }
    }

    [Fact]
    public async Task The_pools_own_queue_has_the_tenants_bound_too()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var acme = await AddAsync(app, row, "acme", new TenantLimits { MaxWaiting = 0 });
        await using var holding = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        var refused = await Assert.ThrowsAsync<TenantQuotaExceededException>(() => OpenAsync(app, acme));

        Assert.Equal(TenantQuota.Waiting, refused.Quota);

        // Nothing is wrong with the pool that it shares.
        Assert.Equal(0, app.Connections.GetPoolMetrics(row.Name).FailedAcquisitions);
    }

    [Fact]
    public async Task A_connection_that_the_application_opens_itself_is_counted_and_refused()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 4 });
        var acme = await AddAsync(app, row, "acme", new TenantLimits { MaxConnections = 1 });
        await using var first = await app.Contexts.CreateDbContextAsync(acme.Id, Ct);
        await using var second = await app.Contexts.CreateDbContextAsync(acme.Id, Ct);
        await first.Database.GetDbConnection().OpenAsync(Ct);
        Assert.Equal((1, 0), await Held.OfTenantAsync(app, acme, row));

        await Assert.ThrowsAsync<TenantQuotaExceededException>(() => second.Database.GetDbConnection().OpenAsync(Ct));

        Assert.Equal(System.Data.ConnectionState.Closed, second.Database.GetDbConnection().State);
        Assert.Equal(1, app.Connections.GetPoolMetrics(row.Name).Active);
        await first.Database.GetDbConnection().CloseAsync();
        await second.Database.GetDbConnection().OpenAsync(Ct);
        Assert.Equal("acme", (await second.Items.SingleAsync(Ct)).Owner);
    }

    [Fact]
    public async Task A_changed_limit_holds_from_the_next_open_on_and_counts_what_is_open()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 10 });
        var acme = await AddAsync(app, row, "acme", new TenantLimits { MaxConnections = 4 });
        var open = new Queue<NpgsqlConnection>();
        for (var i = 0; i < 4; i++)
        {
            open.Enqueue(await OpenAsync(app, acme));
        }

        acme = acme with { Limits = new TenantLimits { MaxConnections = 2 } };
        app.Tenants.Set(acme);
        var waiting = OpenAsync(app, acme);
        await open.Dequeue().DisposeAsync();
        await open.Dequeue().DisposeAsync();
        Assert.False(waiting.IsCompleted);
        await open.Dequeue().DisposeAsync();
        open.Enqueue(await waiting);

        // A context of before the change obeys it too, and raising the limit lets in who waits.
        var more = new[] { OpenAsync(app, acme), OpenAsync(app, acme) };
        Assert.DoesNotContain(more, m => m.IsCompleted);
        app.Tenants.Set(acme with { Limits = new TenantLimits { MaxConnections = 6 } });
        open.Enqueue(await OpenAsync(app, acme));
        foreach (var one in more)
        {
            open.Enqueue(await one);
        }

        foreach (var one in open)
        {
            await one.DisposeAsync();
        }

        Assert.Equal((0, 0), await Held.OfTenantAsync(app, acme, row));
    }

    [Fact]
    public async Task Commands_above_the_limit_of_a_second_are_refused_before_they_are_sent()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var acme = await AddAsync(app, row, "acme", new TenantLimits { CommandsPerSecond = 1 });
        var globex = await AddAsync(app, row, "globex", TenantLimits.None);
        var refused = new List<TenantQuotaExceededException>();
        for (var i = 0; i < 1_000 && refused.Count < 3; i++)
        {
            await using var context = await app.Contexts.CreateDbContextAsync(acme.Id, Ct);
            try
            {
                await context.Items.ToListAsync(Ct);
            }
            catch (TenantQuotaExceededException e)
            {
                refused.Add(e);
            }
        }

        Assert.Equal(3, refused.Count);
        Assert.All(
            refused,
            e =>
            {
                Assert.Equal((TenantQuota.CommandsPerSecond, 1), (e.Quota, e.Limit));
                Assert.InRange(e.RetryAfter, TimeSpan.Zero, TimeSpan.FromSeconds(1));
            }
        );
        Assert.Equal((0, 0), await Held.OfTenantAsync(app, acme, row));
        await using var other = await app.Contexts.CreateDbContextAsync(globex.Id, Ct);
        for (var i = 0; i < 20; i++)
        {
            await other.Items.ToListAsync(Ct);
        }

        // A changed limit is the limit.
        app.Tenants.Set(acme with { Limits = new TenantLimits { CommandsPerSecond = 1_000_000 } });
        await using var more = await app.Contexts.CreateDbContextAsync(acme.Id, Ct);
        for (var i = 0; i < 20; i++)
        {
            await more.Items.ToListAsync(Ct);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_command_that_is_refused_has_not_been_sent(bool async)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var acme = await AddAsync(app, row, "acme", new TenantLimits { CommandsPerSecond = 2 });

        // A sequence counts what came to the server, whatever became of it.
        var sent = $"{acme.Schema.Quoted}.sent";
        await app.DirectAsync(
            row,
            $"CREATE SEQUENCE {sent}; ALTER TABLE {acme.Schema.Quoted}.items ADD call bigint; "
                + $"ALTER TABLE {acme.Schema.Quoted}.items ALTER call SET DEFAULT nextval('{sent}')"
        );
        var done = 0;
        var refused = new int[3];
        for (var i = 0; i < 1_000 && refused.Min() < 2; i++)
        {
            await using var context = await app.Contexts.CreateDbContextAsync(acme.Id, Ct);
            if (await Record.ExceptionAsync(() => SendAsync(context, i)) is not { } e)
            {
                done++;
                continue;
            }

            // EF wraps what ends a save.
            Assert.IsType<TenantQuotaExceededException>(e is DbUpdateException ? e.InnerException : e);
            refused[i % 3]++;
        }

        Assert.True(refused.Min() >= 2, string.Join(", ", refused));
        Assert.NotEqual(0, done);
        Assert.Equal(
            (long)done,
            await app.DirectAsync(row, $"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sent}")
        );

        async Task SendAsync(ItemsContext context, int i)
        {
            const string Next = "SELECT nextval('sent') AS \"Value\"";
            switch (i % 3)
            {
                case 0 when async:
                    await context.Database.SqlQueryRaw<long>(Next).ToListAsync(Ct);
                    break;
                case 0:
                    context.Database.SqlQueryRaw<long>(Next).ToList();
                    break;
                case 1 when async:
                    await context.Database.ExecuteSqlRawAsync(Next, Ct);
                    break;
                case 1:
                    context.Database.ExecuteSqlRaw(Next);
                    break;
                default:
                    context.Add(new Item { Id = 100 + i, Owner = "acme" });
                    _ = async ? await context.SaveChangesAsync(Ct) : context.SaveChanges();
                    break;
            }
        }
    }

    [Fact]
    public async Task A_tenant_that_nobody_uses_any_more_costs_no_memory()
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync();
        var quotas = await Held.LookAsync(app, row, source => source.Tenants);
        var acme = await AddAsync(app, row, "acme", TenantLimits.None);
        var held = await OpenAsync(app, acme);
        for (var i = 0; i < 1_000; i++)
        {
            quotas.Enter(acme with { Id = new TenantId(Guid.NewGuid()) }, row).Leave();
        }

        Assert.Equal(1_001, quotas.Count);
        time.Advance(TenantQuotas.Idle);

        // They were used just now, and what they did in this second counts.
        Assert.Equal(1_001, quotas.Count);
        time.Advance(TenantQuotas.Idle);
        Assert.Equal(1, quotas.Count);

        await held.DisposeAsync();
        time.Advance(TenantQuotas.Idle);
        time.Advance(TenantQuotas.Idle);
        Assert.Equal(0, quotas.Count);
        await using (await OpenAsync(app, acme)) { }
    }

    private static async Task<Tenant> AddAsync(RuntimeApp app, DatabaseConnection row, string slug, TenantLimits limits)
    {
        var tenant = (await app.AddTenantAsync(row, slug)) with { Limits = limits };
        app.Tenants.Set(tenant);
        return tenant;
    }

    private static Task<NpgsqlConnection> OpenAsync(RuntimeApp app, Tenant tenant) =>
        app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct).AsTask();
}
