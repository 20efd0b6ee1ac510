using System.Collections.Concurrent;
using System.Transactions;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Time.Testing;
using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;
using NeoCommons.EfCore.Tests.Resilience;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>Servers fail, change their part and come back while applications work.</summary>
public sealed class FailoverTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_acknowledged_write_is_lost_when_the_primary_dies_and_its_synchronous_standby_is_promoted()
    {
        await using var pair = await Pair.StartAsync();
        await SetAsync(pair.Primary, "synchronous_standby_names", "*");
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        await pair.CatchUpAsync();
        var journal = new ConcurrentBag<int>();
        var recovery = new Recovery();
        var next = 1000;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var workers = Enumerable.Range(0, 4).Select(_ => Task.Run(WorkAsync, Ct)).ToList();
        await Eventually.TrueAsync(() => journal.Count > 50);

        await pair.Primary.StopAsync(immediate: true, Ct);
        await pair.Standby.PromoteAsync(Ct);
        recovery.Begin();
        var before = journal.Count;
        await Eventually.TrueAsync(() => journal.Count > before + 50);
        await stop.CancelAsync();
        await Task.WhenAll(workers);

        // The errors have ended.
        for (var i = 0; i < 20; i++)
        {
            await WriteAsync(app, tenant, Interlocked.Increment(ref next));
        }

        recovery.AssertWithin(TimeSpan.FromSeconds(1));
        var kept = (int[])
            (await Pair.ScalarAsync(pair.Standby, row.Database, "SELECT array_agg(id) FROM tenant_acme.items"))!;
        Assert.Empty(journal.Except(kept));

        async Task WorkAsync()
        {
            while (!stop.IsCancellationRequested)
            {
                var id = Interlocked.Increment(ref next);
                if (await Record.ExceptionAsync(() => WriteAsync(app, tenant, id)) is null)
                {
                    journal.Add(id);
                }
                else if (!stop.IsCancellationRequested)
                {
                    recovery.Failed();
                }
            }
        }
    }

    [Fact]
    public async Task A_primary_that_becomes_read_only_is_left_out_after_one_refusal_for_each_connection()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app, r => r with { MaxPoolSize = 3 });
        var tenant = await app.AddTenantAsync(row, "acme");
        await Task.WhenAll(Enumerable.Range(10, 3).Select(id => WriteAsync(app, tenant, id)));
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);

        await SetAsync(pair.Primary, "default_transaction_read_only", "on");
        var refusals = 0;
        var noHosts = 0;
        for (var id = 100; noHosts < 20 && id < 400; id++)
        {
            var failure = await Record.ExceptionAsync(() => WriteAsync(app, tenant, id));
            refusals += Chain(failure).Any(e => e is PostgresException { SqlState: "25006" }) ? 1 : 0;
            noHosts += IsNoHost(failure) ? 1 : 0;
        }

        Assert.InRange(refusals, 0, row.MaxPoolSize);
        Assert.Equal(20, noHosts);

        // What it has tried to write is looked for at the primary, for a moment.
        await Eventually.TrueAsync(() => ReadOnlyContextTests.IsOnStandbyAsync(app, tenant));

        await SetAsync(pair.Primary, "default_transaction_read_only", "off");
        await Eventually.TrueAsync(async () =>
            await Record.ExceptionAsync(() => WriteAsync(app, tenant, 1000)) is null
        );
    }

    [Fact]
    public async Task Killed_sessions_hide_no_host()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app, r => r with { PrePing = false });
        var tenant = await app.AddTenantAsync(row, "acme");
        for (var round = 0; round < 5; round++)
        {
            await WriteAsync(app, tenant, 10 + round);
            await Pair.KillAsync(pair.Primary, row.Database);

            // It meets the dead connection, and the driver believes that the primary is down.
            await Record.ExceptionAsync(() => WriteAsync(app, tenant, 100 + round));
            await WriteAsync(app, tenant, 200 + round);
            await Task.Delay(HostWatch.Interval * 1.2, Ct);
        }
    }

    [Fact]
    public async Task A_tenant_that_raises_errors_which_the_driver_takes_for_the_servers_causes_no_error_of_the_others()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        var raiser = await app.AddTenantAsync(row, "raiser");
        var other = await app.AddTenantAsync(row, "other");
        var raised = 0;
        var raising = Task.Run(
            async () =>
            {
                for (var i = 0; i < 40; i++)
                {
                    await using var context = await app.Contexts.CreateDbContextAsync(raiser.Id, Ct);
                    var error = await Record.ExceptionAsync(() =>
                        context.Database.ExecuteSqlRawAsync(
                            "DO $$BEGIN RAISE EXCEPTION USING ERRCODE = '53200'; END$$",
                            Ct
                        )
                    );
                    raised += error is PostgresException { SqlState: "53200" } ? 1 : 0;
                }
            },
            Ct
        );

        for (var id = 10; id < 200 || !raising.IsCompleted; id++)
        {
            await WriteAsync(app, other, id);
        }

        await raising;
        Assert.InRange(raised, 36, 40);
    }

    [Fact]
    public async Task Without_the_standby_reads_are_at_the_primary_and_come_back_to_it()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var tenant = await app.AddTenantAsync(await pair.AddAsync(app), "acme");
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);

        await pair.Standby.StopAsync(ct: Ct);
        await Eventually.TrueAsync(async () =>
            await Record.ExceptionAsync(() => ReadOnlyContextTests.IsOnStandbyAsync(app, tenant)) is null
        );
        await ReadOnlyContextTests.AssertReadsOnlyAsync(app, tenant, isStandby: false);

        // A session that only reads says so, and the driver must not take the primary for read-only.
        await using var reader = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);
        await reader.Database.OpenConnectionAsync(Ct);
        Assert.Equal("acme", (await reader.Items.SingleAsync(Ct)).Owner);
        for (var id = 10; id < 20; id++)
        {
            await WriteAsync(app, tenant, id);
        }

        await reader.DisposeAsync();
        await pair.Standby.StartAgainAsync(Ct);
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
    }

    [Fact]
    public async Task Without_the_primary_reads_go_on_and_writes_say_that_no_host_takes_them()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var tenant = await app.AddTenantAsync(await pair.AddAsync(app), "acme");
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);

        await pair.Primary.StopAsync(immediate: true, Ct);
        await Eventually.TrueAsync(async () => IsNoHost(await Record.ExceptionAsync(() => WriteAsync(app, tenant, 2))));

        for (var i = 0; i < 20; i++)
        {
            Assert.True(await ReadOnlyContextTests.IsOnStandbyAsync(app, tenant));
            await Task.Delay(100, Ct);
        }
    }

    [Fact]
    public async Task Who_has_written_just_before_the_primary_is_lost_reads_at_the_standby_when_there_is_none_for_long()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp(
            new Dictionary<string, string?> { ["NeoCommons:Connections:MaxStandbyLag"] = "00:00:05" }
        );
        var tenant = await app.AddTenantAsync(await pair.AddAsync(app), "acme");
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);

        await Pair.ScalarAsync(pair.Standby, "postgres", "SELECT pg_wal_replay_pause()");
        await WriteAsync(app, tenant, 2);
        await pair.Primary.StopAsync(immediate: true, Ct);

        // The primary may come back in a moment, and only it has what the tenant has written.
        Assert.True(IsNoHost(await Record.ExceptionAsync(() => ReadOnlyContextTests.IsOnStandbyAsync(app, tenant))));
        await Eventually.TrueAsync(async () =>
            await Record.ExceptionAsync(() => ReadOnlyContextTests.IsOnStandbyAsync(app, tenant)) is null
        );
        Assert.True(await ReadOnlyContextTests.IsOnStandbyAsync(app, tenant));
    }

    [Fact]
    public async Task A_changed_list_of_hosts_is_followed()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app, r => r with { ReplicaHosts = ReplicaHosts.None });
        var tenant = await app.AddTenantAsync(row, "acme");
        await pair.CatchUpAsync();
        Assert.False(await ReadOnlyContextTests.IsOnStandbyAsync(app, tenant));

        app.Registry.Change(
            row.Name,
            known => known with { ReplicaHosts = ReplicaHosts.Parse($"127.0.0.1:{pair.Standby.Port}") }
        );
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
        await WriteAsync(app, tenant, 2);

        app.Registry.Change(row.Name, known => known with { ReplicaHosts = ReplicaHosts.None });
        Assert.False(await ReadOnlyContextTests.IsOnStandbyAsync(app, tenant));
        await WriteAsync(app, tenant, 3);

        // What looked at the servers has ended with its pool.
        await Eventually.EqualAsync(
            0L,
            async () =>
                (long)
                    (
                        await Pair.ScalarAsync(
                            pair.Standby,
                            "postgres",
                            $"SELECT count(*) FROM pg_stat_activity WHERE datname = '{row.Database}'"
                        )
                    )!
        );
    }

    [Fact]
    public async Task A_scope_is_one_session_at_the_primary()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var tenant = await app.AddTenantAsync(await pair.AddAsync(app), "acme");
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);

        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await WriteAsync(app, tenant, 2);
            await using var reader = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);
            Assert.Equal(2, await reader.Items.CountAsync(Ct));
            scope.Complete();
        }

        await using var after = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);
        Assert.Equal(2, await after.Items.CountAsync(Ct));
        await WriteAsync(app, tenant, 3);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_password_that_is_refused_is_told_once_however_many_callers_and_hosts_there_are(bool async)
    {
        await using var pair = await Pair.StartAsync(AuthenticationLog.Options());
        // The back-off does not pass, however slow the machine is.
        await using var app = pair.NewApp(time: new FakeTimeProvider());
        var (row, tenant) = await WithRoleAsync(pair, app, "right-4711", stored: "wrong-4711");

        var failures = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(i => Task.Run(() => TryReadAsync(app, tenant, async, i % 2 == 0), Ct))
        );

        Assert.All(
            failures,
            f =>
                Assert.Contains(
                    Chain(f),
                    e =>
                        e is ConnectionUnavailableException { Reason: ConnectionUnavailableReason.AuthenticationFailed }
                )
        );
        Assert.InRange(await AuthenticationLog.CountAsync(pair.Primary, row.Username), 0, 1);
        Assert.InRange(await AuthenticationLog.CountAsync(pair.Standby, row.Username), 0, 1);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_host_that_does_not_let_the_role_in_takes_nothing_from_the_others(bool isStandby)
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var (row, tenant) = await WithRoleAsync(pair, app, "right-4711", stored: "right-4711");
        await pair.CatchUpAsync();
        var refusing = isStandby ? pair.Standby : pair.Primary;
        var rules = Path.Combine(refusing.DataDirectory!, "pg_hba.conf");
        await File.WriteAllTextAsync(
            rules,
            $"host all {row.Username} all reject\n" + await File.ReadAllTextAsync(rules, Ct),
            Ct
        );
        await Pair.ScalarAsync(refusing, "postgres", "SELECT pg_reload_conf()");
        await Eventually.TrueAsync(async () => await TryReadAsync(app, tenant, async: true, !isStandby) is null);

        // For longer than a refused password is not told again. Who needs the one that refuses is told so each time.
        for (var i = 0; i < 24; i++)
        {
            if (isStandby)
            {
                // The driver takes the primary for dead after that, and the standby refuses.
                await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
                await Record.ExceptionAsync(() =>
                    context.Database.ExecuteSqlRawAsync("DO $$BEGIN RAISE EXCEPTION USING ERRCODE = '53200'; END$$", Ct)
                );
            }

            Assert.Null(await TryReadAsync(app, tenant, async: i % 2 == 0, readOnly: !isStandby || i % 3 == 0));
            var written = await TryReadAsync(app, tenant, async: i % 2 == 1, readOnly: false);
            Assert.True(isStandby == written is null, $"{i}: {written}");
            (await app.AcquireAsync(row.Name)).Clear();
            await Task.Delay(500, Ct);
        }
    }

    [Fact]
    public async Task A_changed_password_is_read_again_and_serves_everybody()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var (row, tenant) = await WithRoleAsync(pair, app, "first-4711", stored: "first-4711");
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
        await Pair.ScalarAsync(pair.Primary, "postgres", $"ALTER ROLE {row.Username} PASSWORD 'second-4711'");
        await pair.CatchUpAsync();
        app.Registry.Refreshing = name =>
        {
            app.Registry.Change(name, known => known with { Password = Secret.FromText("second-4711") });
            return Task.CompletedTask;
        };
        await Pair.KillAsync(pair.Primary, row.Database);
        await Pair.KillAsync(pair.Standby, row.Database);

        await Eventually.TrueAsync(async () =>
            await Record.ExceptionAsync(() => ReadAsync(app, tenant, async: true, readOnly: false)) is null
        );
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
    }

    private static async Task<(DatabaseConnection Row, Tenant Tenant)> WithRoleAsync(
        Pair pair,
        RuntimeApp app,
        string password,
        string stored
    )
    {
        var role = AuthenticationLog.NewRole();
        await Pair.ScalarAsync(pair.Primary, "postgres", $"CREATE ROLE {role} LOGIN PASSWORD '{password}'");
        var row = await pair.AddAsync(
            app,
            r => r with { Username = role, Password = Secret.FromText(stored), MaxPoolSize = 30 }
        );
        var tenant = await app.AddTenantAsync(row, "acme");
        await app.DirectAsync(
            row,
            $"GRANT USAGE ON SCHEMA tenant_acme TO {role}; GRANT ALL ON tenant_acme.items TO {role}"
        );
        await pair.CatchUpAsync();
        return (row, tenant);
    }

    private static async Task<Exception?> TryReadAsync(RuntimeApp app, Tenant tenant, bool async, bool readOnly) =>
        await Record.ExceptionAsync(() => ReadAsync(app, tenant, async, readOnly));

    private static async Task ReadAsync(RuntimeApp app, Tenant tenant, bool async, bool readOnly)
    {
        await using var context = readOnly
            ? await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct)
            : await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        _ = async ? await context.Items.CountAsync(Ct) : context.Items.Count();
    }

    internal static async Task WriteAsync(RuntimeApp app, Tenant tenant, int id)
    {
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        context.Items.Add(new Item { Id = id, Owner = tenant.Slug });
        await context.SaveChangesAsync(Ct);
    }

    private static async Task SetAsync(PostgresServer server, string setting, string value)
    {
        await Pair.ScalarAsync(server, "postgres", $"ALTER SYSTEM SET {setting} = '{value}'");
        await Pair.ScalarAsync(server, "postgres", "SELECT pg_reload_conf()");
        await Eventually.EqualAsync(
            value,
            async () => (string?)await Pair.ScalarAsync(server, "postgres", $"SHOW {setting}")
        );
    }

    private static bool IsNoHost(Exception? failure) =>
        Chain(failure).Any(e => e is ConnectionUnavailableException { Reason: ConnectionUnavailableReason.NoHost });

    private static IEnumerable<Exception> Chain(Exception? e)
    {
        for (; e is not null; e = e.InnerException)
        {
            yield return e;
        }
    }
}
