using System.Diagnostics;
using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>A host takes connections and says nothing on them, as behind a lost network.</summary>
public sealed class SilentHostTests
{
    private const int Callers = 12;

    // How long a host may take to take a connection.
    private static readonly TimeSpan PoolTimeout = TimeSpan.FromSeconds(2);

    // The driver goes round its hosts, and asks a silent one each time, until it is left out.
    private static readonly TimeSpan Generous = TimeSpan.FromSeconds(60);

    // Whoever met a silent host would be found out.
    private static readonly TimeSpan LongPoolTimeout = TimeSpan.FromSeconds(40);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task While_the_standby_is_silent_each_reader_reaches_the_primary()
    {
        await using var hosts = await StartAsync();
        hosts.Standby.Blackhole();
        await hosts.RefusedAsync(1);
        var waiting = Stopwatch.StartNew();

        var atStandby = await Task.WhenAll(
            Enumerable
                .Range(0, Callers)
                .Select(_ => Task.Run(() => ReadOnlyContextTests.IsOnStandbyAsync(hosts.App, hosts.Tenant), Ct))
        );

        Assert.All(atStandby, Assert.False);
        Assert.InRange(waiting.Elapsed, TimeSpan.Zero, Generous);
        await WriteAsync(hosts, 2);
        hosts.Standby.Restore();
        await ReadOnlyContextTests.OnStandbyAsync(hosts.App, hosts.Tenant);
    }

    [Fact]
    public async Task While_an_old_primary_is_silent_each_writer_reaches_the_new_one()
    {
        await using var hosts = await StartAsync();
        hosts.Primary.Blackhole();
        await hosts.Pair.Standby.PromoteAsync(Ct);
        await hosts.RefusedAsync(0);
        var waiting = Stopwatch.StartNew();

        await Task.WhenAll(Enumerable.Range(2, Callers).Select(id => Task.Run(() => WriteAsync(hosts, id), Ct)));

        Assert.InRange(waiting.Elapsed, TimeSpan.Zero, Generous);
        Assert.Equal(
            Callers + 1L,
            await Pair.ScalarAsync(hosts.Pair.Standby, hosts.Row.Database, "SELECT count(*) FROM tenant_acme.items")
        );
    }

    [Fact]
    public async Task While_all_are_silent_each_caller_is_told_so()
    {
        await using var hosts = await StartAsync();
        hosts.Primary.Blackhole();
        hosts.Standby.Blackhole();
        await hosts.RefusedAsync(0);
        await hosts.RefusedAsync(1);
        var waiting = Stopwatch.StartNew();

        var failures = await Task.WhenAll(
            Enumerable
                .Range(0, 4)
                .Select(_ =>
                    Task.Run(async () => await Record.ExceptionAsync(() => UseAsync(hosts, readOnly: false)), Ct)
                )
        );

        Assert.All(
            failures,
            failure =>
                Assert.Equal(
                    ConnectionUnavailableReason.NoHost,
                    Assert.IsType<ConnectionUnavailableException>(failure).Reason
                )
        );
        Assert.InRange(waiting.Elapsed, TimeSpan.Zero, Generous);
        hosts.Primary.Restore();
        hosts.Standby.Restore();
        await Eventually.TrueAsync(async () =>
            await Record.ExceptionAsync(() => UseAsync(hosts, readOnly: false)) is null
        );
    }

    [Fact]
    public async Task A_silent_standby_is_left_out_and_taken_in_again()
    {
        await using var hosts = await StartAsync(LongPoolTimeout);
        hosts.Standby.Blackhole();
        await hosts.LeftOutAsync([1]);
        var waiting = Stopwatch.StartNew();

        for (var id = 2; id < 12; id++)
        {
            Assert.False(await ReadOnlyContextTests.IsOnStandbyAsync(hosts.App, hosts.Tenant));
            await WriteAsync(hosts, id);
        }

        Assert.InRange(waiting.Elapsed, TimeSpan.Zero, LongPoolTimeout / 2);
        hosts.Standby.Restore();
        await hosts.LeftOutAsync([]);
        await ReadOnlyContextTests.OnStandbyAsync(hosts.App, hosts.Tenant);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_silent_primary_is_left_out_and_a_standby_that_is_promoted_serves(bool promotedBefore)
    {
        await using var hosts = await StartAsync(LongPoolTimeout);
        hosts.Primary.Blackhole();
        if (promotedBefore)
        {
            await hosts.Pair.Standby.PromoteAsync(Ct);
        }

        await hosts.LeftOutAsync([0]);
        var waiting = Stopwatch.StartNew();
        if (!promotedBefore)
        {
            // Reads go on, and who writes is told at once, and again and again.
            for (var i = 0; i < 5; i++)
            {
                Assert.True(await ReadOnlyContextTests.IsOnStandbyAsync(hosts.App, hosts.Tenant));
                Assert.Equal(ConnectionUnavailableReason.NoHost, await ReasonAsync(hosts, readOnly: false));
            }

            await hosts.Pair.Standby.PromoteAsync(Ct);
            await Eventually.TrueAsync(async () =>
                await Record.ExceptionAsync(() => UseAsync(hosts, readOnly: false)) is null
            );
        }

        for (var id = 2; id < 12; id++)
        {
            await WriteAsync(hosts, id);
        }

        // It was never told, and answers again: its lower timeline keeps it out.
        Assert.InRange(waiting.Elapsed, TimeSpan.Zero, LongPoolTimeout / 2);
        hosts.Primary.Restore();
        await hosts.LeftOutAsync([]);
        for (var id = 12; id < 22; id++)
        {
            await WriteAsync(hosts, id);
        }

        const string Count = "SELECT count(*) FROM tenant_acme.items";
        Assert.Equal(21L, await Pair.ScalarAsync(hosts.Pair.Standby, hosts.Row.Database, Count));
        Assert.Equal(1L, await Pair.ScalarAsync(hosts.Pair.Primary, hosts.Row.Database, Count));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_all_are_silent_each_caller_is_told_so_without_a_try(bool readOnly)
    {
        await using var hosts = await StartAsync(LongPoolTimeout);
        hosts.Primary.Blackhole();
        hosts.Standby.Blackhole();
        await Eventually.TrueAsync(async () =>
            Record.Exception((await hosts.App.AcquireAsync(hosts.Row.Name)).Hosts!.Outage.ThrowIfOn) is not null
        );
        var waiting = Stopwatch.StartNew();

        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(ConnectionUnavailableReason.NoHost, await ReasonAsync(hosts, readOnly));
        }

        Assert.InRange(waiting.Elapsed, TimeSpan.Zero, LongPoolTimeout / 2);
        hosts.Standby.Restore();
        await hosts.LeftOutAsync([0]);
        await ReadOnlyContextTests.OnStandbyAsync(hosts.App, hosts.Tenant);
        hosts.Primary.Restore();
        await Eventually.TrueAsync(async () => await Record.ExceptionAsync(() => UseAsync(hosts, readOnly)) is null);
    }

    [Fact]
    public async Task A_standby_that_was_too_far_behind_is_so_for_the_pool_that_leaves_out_its_silent_primary()
    {
        await using var hosts = await StartAsync(LongPoolTimeout);
        await Pair.ScalarAsync(hosts.Pair.Standby, "postgres", "SELECT pg_wal_replay_pause()");

        // Somebody else writes: the tenant need not see its own writes.
        await hosts.App.DirectAsync(hosts.Row, "INSERT INTO tenant_acme.items VALUES (2, 'acme')");
        var before = await hosts.App.AcquireAsync(hosts.Row.Name);
        await Eventually.TrueAsync(() => before.Hosts!.Guard.States[1] is { Answer: not null, Refusal: not null });

        hosts.Primary.Blackhole();
        await hosts.LeftOutAsync([0]);

        Assert.Equal(ConnectionUnavailableReason.NoHost, await ReasonAsync(hosts, readOnly: true));
    }

    [Fact]
    public async Task Who_waits_for_a_turn_is_told_so_when_all_are_silent()
    {
        await using var hosts = await StartAsync(LongPoolTimeout, poolSize: 1);
        await using var held = await hosts.App.Connections.OpenTenantConnectionAsync(hosts.Tenant.Id, Ct);
        var waiting = Task.WhenAll(
            Enumerable.Range(0, 3).Select(i => Task.Run(() => ReasonAsync(hosts, readOnly: i == 0), Ct))
        );
        await Eventually.TrueAsync(() => hosts.App.Connections.GetPoolMetrics(hosts.Row.Name).Pending == 3);

        hosts.Primary.Blackhole();
        hosts.Standby.Blackhole();

        Assert.All(
            await waiting.WaitAsync(LongPoolTimeout / 2, Ct),
            reason => Assert.Equal(ConnectionUnavailableReason.NoHost, reason)
        );
        hosts.Primary.Restore();
        hosts.Standby.Restore();
    }

    [Fact]
    public async Task A_pool_that_nobody_asks_for_any_more_is_watched_all_the_same()
    {
        await using var hosts = await StartAsync(LongPoolTimeout);
        var sources = hosts.App.Services.GetRequiredService<TenantDataSources>();
        hosts.Primary.Blackhole();
        await Eventually.TrueAsync(() => sources.Current.Any(s => s.Hosts!.LeftOut.Contains(0)));

        hosts.Primary.Restore();

        // Left out and taken in again: both are a new pool, and no lease has made it.
        await Eventually.TrueAsync(() => sources.Current.Any(s => s.Hosts!.LeftOut.Count == 0));
        await WriteAsync(hosts, 2);
    }

    [Fact]
    public async Task Nothing_holds_a_pool_that_was_replaced()
    {
        // The driver holds its data sources for ever.
        await using var hosts = await StartAsync();
        var replaced = await ReplaceAsync(hosts);

        await Eventually.TrueAsync(() =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return !replaced.IsAlive;
        });
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<WeakReference> ReplaceAsync(BehindProxies hosts)
    {
        var pool = await hosts.App.AcquireAsync(hosts.Row.Name);
        hosts.App.Registry.Change(hosts.Row.Name, row => row with { MaxPoolSize = 7 });
        await UseAsync(hosts, readOnly: false);
        await pool.Life.WhenOver;
        return new WeakReference(pool);
    }

    private static async Task<ConnectionUnavailableReason?> ReasonAsync(BehindProxies hosts, bool readOnly)
    {
        var failure = await Record.ExceptionAsync(() => UseAsync(hosts, readOnly));
        while (failure is not null and not ConnectionUnavailableException)
        {
            failure = failure.InnerException;
        }

        return ((ConnectionUnavailableException?)failure)?.Reason;
    }

    private static Task<BehindProxies> StartAsync(TimeSpan? poolTimeout = null, int poolSize = 2 * Callers) =>
        BehindProxies.StartAsync(row => row with { PoolTimeout = poolTimeout ?? PoolTimeout, MaxPoolSize = poolSize });

    private static async Task UseAsync(BehindProxies hosts, bool readOnly)
    {
        await using var context = readOnly
            ? await hosts.App.Contexts.CreateReadOnlyDbContextAsync(hosts.Tenant.Id, Ct)
            : await hosts.App.Contexts.CreateDbContextAsync(hosts.Tenant.Id, Ct);
        await context.Items.CountAsync(Ct);
    }

    private static async Task WriteAsync(BehindProxies hosts, int id)
    {
        await using var context = await hosts.App.Contexts.CreateDbContextAsync(hosts.Tenant.Id, Ct);
        context.Items.Add(new Item { Id = id, Owner = "acme" });
        await context.SaveChangesAsync(Ct);
    }
}
