using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Time.Testing;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>A password that the server refuses is told to it once, however many callers there are: a storm locks roles out.</summary>
public sealed class RefusedPasswordTests(AuthenticationLog log) : IClassFixture<AuthenticationLog>
{
    private const int Callers = 50;
    private const string First = "first-4711";
    private const string Second = "second-4711";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Fifty_callers_at_once_fail_once(bool async)
    {
        await using var app = new RuntimeApp(log.Postgres, time: new FakeTimeProvider());
        var (row, tenant) = await AddAsync(app, stored: Second);

        var failures = await CallAsync(app, tenant, async);

        Assert.All(failures, AssertRefused);
        Assert.Equal(1, await log.CountAsync(row.Username));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Fifty_callers_at_once_fail_once_with_a_password_that_was_good_until_now(bool async)
    {
        await using var app = new RuntimeApp(log.Postgres, time: new FakeTimeProvider());
        var (row, tenant) = await AddAsync(app);
        Assert.All(await CallAsync(app, tenant, async), Assert.Null);
        await AlterAsync(app, row, Second);
        await app.KillBackendsAsync(row);

        Assert.All(await CallAsync(app, tenant, async), failure => Assert.NotNull(failure));
        Assert.All(await CallAsync(app, tenant, async), AssertRefused);

        Assert.Equal(1, await log.CountAsync(row.Username));
    }

    [Fact]
    public async Task The_breaker_that_asks_a_server_which_refuses_it_stays_closed_and_asks_once()
    {
        await using var app = new RuntimeApp(log.Postgres);
        var (row, _) = await AddAsync(app);
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        await AlterAsync(app, row, Second);
        await app.KillBackendsAsync(row);
        var breaker = (await app.AcquireAsync(row.Name)).Breaker;

        // From the second time on it is known that the server refuses: it is not asked, and that is no outage either.
        for (var i = 0; i < 10; i++)
        {
            Assert.Null(await breaker.Probe(Ct));
        }

        breaker.InDoubt();
        await Eventually.TrueAsync(() => !breaker.IsWatching);
        Assert.False(breaker.IsOpen);
        Assert.Equal(1, await log.CountAsync(row.Username));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_row_is_read_again_and_a_password_that_has_changed_serves_everybody(bool async)
    {
        await using var app = new RuntimeApp(log.Postgres, time: new FakeTimeProvider());
        var (row, tenant) = await AddAsync(app);
        await AlterAsync(app, row, Second);
        var refreshes = 0;
        app.Registry.Refreshing = name =>
        {
            Interlocked.Increment(ref refreshes);
            app.Registry.Change(name, known => known with { Password = Secret.FromText(Second) });
            return Task.CompletedTask;
        };

        Assert.All(await CallAsync(app, tenant, async), Assert.Null);

        Assert.Equal(1, refreshes);
        Assert.Equal(1, await log.CountAsync(row.Username));
    }

    [Fact]
    public async Task The_other_password_is_tried_once_and_no_third_one()
    {
        await using var app = new RuntimeApp(log.Postgres, time: new FakeTimeProvider());
        var (row, tenant) = await AddAsync(app, stored: "wrong-0");
        var refreshes = 0;
        app.Registry.Refreshing = name =>
        {
            var next = Interlocked.Increment(ref refreshes);
            app.Registry.Change(name, known => known with { Password = Secret.FromText($"wrong-{next}") });
            return Task.CompletedTask;
        };

        AssertRefused(await Record.ExceptionAsync(() => ReadAsync(app, tenant)));

        Assert.Equal(1, refreshes);
        Assert.Equal(2, await log.CountAsync(row.Username));
    }

    [Fact]
    public async Task The_server_is_not_contacted_until_the_back_off_has_passed()
    {
        await using var proxy = TcpFaultProxy.Start(log.Postgres.Host, log.Postgres.Port);
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(log.Postgres, time: time);
        var (row, tenant) = await AddAsync(app, stored: Second, port: proxy.Port);
        AssertRefused(await Record.ExceptionAsync(() => ReadAsync(app, tenant)));
        var contacts = proxy.Counters.Connections;

        AssertRefused(await Record.ExceptionAsync(() => ReadAsync(app, tenant)));
        AssertRefused(Record.Exception(() => Read(app, tenant)));
        AssertRefused(await Record.ExceptionAsync(async () => await app.Connections.OpenConnectionAsync(row.Name, Ct)));
        Assert.Equal(contacts, proxy.Counters.Connections);

        time.Advance(TimeSpan.FromSeconds(10));
        Assert.All(await CallAsync(app, tenant, async: true), AssertRefused);
        Assert.Equal(2, await log.CountAsync(row.Username));

        await AlterAsync(app, row, Second);
        AssertRefused(await Record.ExceptionAsync(() => ReadAsync(app, tenant)));
        time.Advance(TimeSpan.FromSeconds(10));
        Assert.All(await CallAsync(app, tenant, async: true), Assert.Null);
        Assert.Equal(2, await log.CountAsync(row.Username));
    }

    [Fact]
    public async Task Another_password_in_the_row_is_used_at_once()
    {
        await using var app = new RuntimeApp(log.Postgres, time: new FakeTimeProvider());
        var (row, tenant) = await AddAsync(app, stored: Second);
        AssertRefused(await Record.ExceptionAsync(() => ReadAsync(app, tenant)));

        app.Registry.Change(row.Name, known => known with { Password = Secret.FromText(First) });

        Assert.All(await CallAsync(app, tenant, async: true), Assert.Null);
    }

    [Fact]
    public async Task What_is_open_serves_on_in_the_same_pool()
    {
        await using var app = new RuntimeApp(log.Postgres, time: new FakeTimeProvider());
        var (row, _) = await AddAsync(app);
        int pid;
        await using (var open = await app.Connections.OpenConnectionAsync(row.Name, Ct))
        {
            pid = await RuntimeApp.PidAsync(open);
        }

        // The registry first: the server does not know the password yet.
        app.Registry.Change(row.Name, known => known with { Password = Secret.FromText(Second) });
        await using (var held = await app.Connections.OpenConnectionAsync(row.Name, Ct))
        {
            Assert.Equal(pid, await RuntimeApp.PidAsync(held));
            AssertRefused(
                await Record.ExceptionAsync(async () => await app.Connections.OpenConnectionAsync(row.Name, Ct))
            );
        }

        await using var again = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        Assert.Equal(pid, await RuntimeApp.PidAsync(again));
    }

    [Fact]
    public async Task A_registry_that_cannot_look_or_does_not_answer_changes_nothing()
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(log.Postgres, time: time);
        var (row, tenant) = await AddAsync(app, stored: Second);
        app.Registry.Refreshing = _ => Task.FromException(new TimeoutException("the registry is away"));
        AssertRefused(await Record.ExceptionAsync(() => ReadAsync(app, tenant)));

        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        app.Registry.Refreshing = _ =>
        {
            asked.SetResult();
            return Task.Delay(Timeout.Infinite, Ct);
        };
        time.Advance(TimeSpan.FromSeconds(10));
        var reading = ReadAsync(app, tenant);
        await asked.Task.WaitAsync(TimeSpan.FromMinutes(1), Ct);
        time.Advance(TimeSpan.FromSeconds(5));
        AssertRefused(await Record.ExceptionAsync(() => reading.WaitAsync(TimeSpan.FromMinutes(1), Ct)));
        Assert.Equal(2, await log.CountAsync(row.Username));
    }

    [Fact]
    public async Task A_user_that_the_row_has_had_before_is_exchanged_with_the_pool()
    {
        await using var app = new RuntimeApp(log.Postgres, time: new FakeTimeProvider());
        var (row, tenant) = await AddAsync(app, stored: Second);
        var other = AuthenticationLog.NewRole();
        await CreateRoleAsync(app, row, other);
        app.Registry.Refreshing = name =>
        {
            app.Registry.Change(name, known => known with { Username = other, Password = Secret.FromText(First) });
            return Task.CompletedTask;
        };

        await using (var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct))
        {
            var stale = await Assert.ThrowsAsync<ConnectionUnavailableException>(() => context.Items.SingleAsync(Ct));
            Assert.Equal(ConnectionUnavailableReason.Replaced, stale.Reason);
        }

        await ReadAsync(app, tenant);
        app.Registry.Set(row);
        await app.Connections.CloseAsync(row.Name);
        await using var moved = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        Assert.Equal(other, moved.UserName);
        Assert.Equal(2, await log.CountAsync(row.Username));
    }

    private static void AssertRefused(Exception? failure)
    {
        var unavailable = Assert.IsType<ConnectionUnavailableException>(failure);
        Assert.Equal(ConnectionUnavailableReason.AuthenticationFailed, unavailable.Reason);
        Assert.Contains("connections set-password", unavailable.Message, StringComparison.Ordinal);
        Assert.Contains("ALTER ROLE", unavailable.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("4711", unavailable.ToString(), StringComparison.Ordinal);
    }

    /// <summary>A registered database whose role has the first password, and a tenant in it.</summary>
    private static async Task<(DatabaseConnection Row, Tenant Tenant)> AddAsync(
        RuntimeApp app,
        string stored = First,
        int? port = null
    )
    {
        var role = AuthenticationLog.NewRole();
        var row = await app.AddDatabaseAsync(row =>
            row with
            {
                Username = role,
                Password = Secret.FromText(stored),
                Port = port ?? row.Port,
            }
        );
        var tenant = await app.AddTenantAsync(row, "acme");
        await CreateRoleAsync(app, row, role);
        return (row, tenant);
    }

    private static Task CreateRoleAsync(RuntimeApp app, DatabaseConnection row, string role) =>
        app.DirectAsync(
            row,
            $"CREATE ROLE {role} LOGIN PASSWORD '{First}'; GRANT USAGE ON SCHEMA tenant_acme TO {role}; "
                + $"GRANT SELECT ON ALL TABLES IN SCHEMA tenant_acme TO {role}"
        );

    private static Task AlterAsync(RuntimeApp app, DatabaseConnection row, string password) =>
        app.DirectAsync(row, $"ALTER ROLE {row.Username} PASSWORD '{password}'");

    private static async Task<Exception?[]> CallAsync(RuntimeApp app, Tenant tenant, bool async)
    {
        if (async)
        {
            return await Task.WhenAll(
                Enumerable.Range(0, Callers).Select(_ => Record.ExceptionAsync(() => ReadAsync(app, tenant)).AsTask())
            );
        }

        return await Task.WhenAll(
            Enumerable
                .Range(0, Callers)
                .Select(_ =>
                    Task.Factory.StartNew(
                        () => (Exception?)Record.Exception(() => Read(app, tenant)),
                        Ct,
                        TaskCreationOptions.LongRunning,
                        TaskScheduler.Default
                    )
                )
        );
    }

    private static async Task ReadAsync(RuntimeApp app, Tenant tenant)
    {
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        Assert.Equal("acme", (await context.Items.AsNoTracking().SingleAsync(Ct)).Owner);
    }

    private static void Read(RuntimeApp app, Tenant tenant)
    {
        using var context = app.Contexts.CreateDbContextAsync(tenant.Id, Ct).AsTask().GetAwaiter().GetResult();
        Assert.Equal("acme", context.Items.AsNoTracking().Single().Owner);
    }
}
