using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.ServerLeases;

/// <summary>Processes that share a server never have more of it together than it gives.</summary>
public sealed class ServerSharingTests(TestServers servers)
{
    private const int Total = 8;
    private static readonly string Key = TestApp.NewKey();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Processes_divide_a_server_and_what_one_gives_back_or_dies_with_is_the_others()
    {
        await using var first = await StartAsync();
        await using var held = new Connections();
        await held.OpenAsync(first.Services, Total);
        await Eventually.EqualAsync(Total, () => CountAsync(first));

        // All is taken: the second has what it takes to begin until the first has heard of it, and what the first holds it may
        // finish.
        using var second = await JoinAsync(first);
        await using var others = new Connections();
        await others.OpenAsync(second.Services, 1);
        await Eventually.EqualAsync(2L, () => LeasesAsync(first));
        Assert.Equal(ServerBudget.LeastPart, PartOf(second.Services));
        await others.OpenAsync(second.Services, 1);
        var opening = others.OpenAsync(second.Services, (Total / 2) - 2);
        await Eventually.EqualAsync(Total / 2, () => Task.FromResult(PartOf(first.Services)));
        Assert.InRange(await CountAsync(first), Total, Total + ServerBudget.LeastPart);
        await held.CloseAsync(Total / 2);
        await opening;
        await Eventually.EqualAsync(Total, () => CountAsync(first));
        Assert.Equal(Total / 2, PartOf(second.Services));

        // It dies without a word: its part is free when its lease ends.
        await others.CloseAsync(Total / 2);
        second.Dispose();
        Assert.Equal(2L, await LeasesAsync(first));
        await Eventually.EqualAsync(Total, () => Task.FromResult(PartOf(first.Services)));
        await held.OpenAsync(first.Services, Total / 2);
        await Eventually.EqualAsync(Total, () => CountAsync(first));
    }

    [Fact]
    public async Task Under_load_of_three_processes_the_server_never_has_more_than_its_number_and_each_gets_on()
    {
        await using var first = await StartAsync();
        using var second = await JoinAsync(first);
        using var third = await JoinAsync(first);
        IServiceProvider[] all = [first.Services, second.Services, third.Services];
        var done = new int[all.Length];
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var working = all.SelectMany((process, p) => Enumerable.Range(0, 6).Select(_ => WorkAsync(process, p)))
            .ToList();

        // Everybody has agreed with everybody.
        await Eventually.TrueAsync(() => all.Sum(PartOf) <= Total && all.All(p => PartOf(p) >= 2));
        var before = done.ToArray();
        var most = 0L;
        await Eventually.TrueAsync(async () =>
        {
            most = Math.Max(most, await CountAsync(first));
            return done.Zip(before).All(d => d.First > d.Second + 50);
        });
        await stop.CancelAsync();
        await Task.WhenAll(working);

        // A server process that was told goodbye is seen until it has ended; eighteen callers want one each.
        Assert.InRange(most, 3, Total + 2);
        TestContext.Current.TestOutputHelper?.WriteLine($"{most} at most; {string.Join(", ", done)} done");

        async Task WorkAsync(IServiceProvider process, int number)
        {
            var connections = process.GetRequiredService<IDatabaseConnections>();
            while (!stop.IsCancellationRequested)
            {
                await using var connection = await connections.OpenConnectionAsync("db1", Ct);
                await using var command = new NpgsqlCommand("SELECT pg_sleep(0.01)", connection);
                await command.ExecuteNonQueryAsync(Ct);
                Interlocked.Increment(ref done[number]);
            }
        }
    }

    [Fact]
    public async Task Without_its_admin_database_a_process_keeps_what_it_had()
    {
        await using var first = await StartAsync();
        await using var held = new Connections();
        await held.OpenAsync(first.Services, 1);
        await Eventually.EqualAsync(Total, () => Task.FromResult(PartOf(first.Services)));

        await first.AdminAsync("ALTER TABLE admin.server_leases RENAME TO away");
        await Task.Delay(TimeSpan.FromSeconds(2), Ct);
        await held.OpenAsync(first.Services, Total - 1);
        await Eventually.EqualAsync(Total, () => CountAsync(first));
        await first.AdminAsync("ALTER TABLE admin.away RENAME TO server_leases");
    }

    [Fact]
    public async Task After_an_absence_of_the_admin_database_nobody_takes_what_others_still_have()
    {
        await using var first = await StartAsync();
        using var second = await JoinAsync(first);
        await using var ofFirst = new Connections();
        await using var ofSecond = new Connections();
        await ofFirst.OpenAsync(first.Services, 1);
        await ofSecond.OpenAsync(second.Services, 1);
        await Eventually.TrueAsync(() => Sum() == Total && PartOf(first.Services) == Total / 2);

        // For longer than a lease.
        await first.AdminAsync("ALTER TABLE admin.server_leases RENAME TO away");
        await Task.Delay(TimeSpan.FromSeconds(4), Ct);
        await first.AdminAsync("ALTER TABLE admin.away RENAME TO server_leases");

        // Until both have agreed again, and for as long again.
        for (var i = 0; i < 60; i++)
        {
            Assert.Equal((Total / 2, Total), (PartOf(first.Services), Sum()));
            await Task.Delay(50, Ct);
        }

        int Sum() => PartOf(first.Services) + PartOf(second.Services);
    }

    [Fact]
    public async Task A_process_whose_network_is_lost_while_it_agrees_keeps_nobody_from_agreeing()
    {
        await using var first = await StartAsync();
        await using var proxy = TcpFaultProxy.Start(first.Server.Host, first.Server.Port);
        using var second = await JoinAsync(first, admin: proxy.GetConnectionString(first.AdminConnectionString));
        await using var ofFirst = new Connections();
        await using var ofSecond = new Connections();
        await ofFirst.OpenAsync(first.Services, 1);
        await ofSecond.OpenAsync(second.Services, 1);
        await Eventually.EqualAsync(Total / 2, () => Task.FromResult(PartOf(first.Services)));

        // From its lock on, to agree takes the second a second.
        proxy.Latency = TimeSpan.FromMilliseconds(150);
        int? lost = null;
        await Eventually.TrueAsync(async () =>
        {
            if (await HolderAsync(first) is not { } holder)
            {
                return false;
            }

            // What it has said before still arrives, and that may be the end of it.
            proxy.Blackhole();
            await Task.Delay(proxy.Latency * 2, Ct);
            if (await HolderAsync(first) == holder)
            {
                lost = holder;
                return true;
            }

            proxy.Restore();
            return false;
        });

        await Eventually.TrueAsync(async () => await HolderAsync(first) != lost);
        await Eventually.EqualAsync(Total, () => Task.FromResult(PartOf(first.Services)));
        proxy.Restore();
    }

    [Fact]
    public async Task Less_is_obeyed_before_it_is_noted()
    {
        await using var first = await StartAsync();
        await using var held = new Connections();
        await held.OpenAsync(first.Services, 1);
        await Eventually.EqualAsync(Total, () => Task.FromResult(PartOf(first.Services)));

        // Another one comes, and from now on no agreement gets through: its commit is as good as lost.
        await first.AdminAsync(
            """
            CREATE FUNCTION admin.lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''lost''; END';
            INSERT INTO admin.server_leases (server, process_id, connections, wanted, expires_at)
            SELECT server, gen_random_uuid(), 0, 99, now() + interval '1 h' FROM admin.server_leases;
            CREATE CONSTRAINT TRIGGER lost AFTER INSERT OR UPDATE ON admin.server_leases
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION admin.lose();
            """
        );

        // It uses one, and the other wants all.
        await Eventually.EqualAsync(ServerBudget.LeastPart, () => Task.FromResult(PartOf(first.Services)));
    }

    [Fact]
    public async Task A_process_that_stops_has_its_lease_until_its_work_is_done()
    {
        await using var app = await StartAsync();
        using var second = await JoinAsync(app);
        await using var held = new Connections();
        await held.OpenAsync(second.Services, 1);
        await Eventually.EqualAsync(1L, () => LeasesAsync(app));

        var stopping = second.StopAsync(Ct);
        var connections = second.Services.GetRequiredService<IDatabaseConnections>();
        await Eventually.TrueAsync(async () =>
        {
            var e = await Record.ExceptionAsync(async () =>
            {
                await using var _ = await connections.OpenConnectionAsync("db1", Ct);
            });
            return e is ConnectionUnavailableException { Reason: ConnectionUnavailableReason.ShuttingDown };
        });

        // For longer than a lease.
        for (var i = 0; i < 40; i++)
        {
            Assert.Equal((1L, false), (await LeasesAsync(app), stopping.IsCompleted));
            await Task.Delay(100, Ct);
        }

        await held.CloseAsync(1);
        await stopping;
        Assert.Equal(0L, await LeasesAsync(app));
    }

    [Fact]
    public async Task Who_cannot_get_a_connection_is_told_that_others_have_a_part()
    {
        await using var first = await StartAsync();
        await first.AdminAsync("UPDATE admin.database_connections SET pool_timeout_seconds = 1");
        await first.ReloadAsync();
        using var second = await JoinAsync(first);
        await using var held = new Connections();
        await using var others = new Connections();
        await others.OpenAsync(second.Services, 1);
        await held.OpenAsync(first.Services, 1);
        await Eventually.TrueAsync(() => PartOf(first.Services) == Total / 2);

        var full = await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
        {
            for (var i = 0; i < Total; i++)
            {
                await held.OpenAsync(first.Services, 1);
            }
        });

        Assert.Contains("the 4 connections that server", full.Message, StringComparison.Ordinal);
        Assert.Contains($"part of {Total}", full.Message, StringComparison.Ordinal);
        Assert.Contains("ServerLease", full.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_process_that_stops_leaves_no_lease_and_without_the_option_there_is_none()
    {
        await using var app = await StartAsync();
        using (var second = await JoinAsync(app))
        {
            await using var held = new Connections();
            await held.OpenAsync(second.Services, 1);
            await Eventually.EqualAsync(1L, () => LeasesAsync(app));
            await held.CloseAsync(1);
            await second.StopAsync(Ct);
            Assert.Equal(0L, await LeasesAsync(app));
        }

        using var alone = await JoinAsync(app, lease: null);
        await using (var held = new Connections())
        {
            await held.OpenAsync(alone.Services, Total);
        }

        Assert.Equal(0L, await LeasesAsync(app));
        await alone.StopAsync(Ct);
    }

    private static async Task<long> LeasesAsync(TestApp app) =>
        (long)(await app.AdminAsync("SELECT count(*) FROM admin.server_leases WHERE connections > 0"))!;

    /// <summary>The session of who agrees at the moment and does nothing.</summary>
    private static async Task<int?> HolderAsync(TestApp app) =>
        (int?)
            await app.AdminAsync(
                "SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.granted AND l.mode = 'ShareRowExclusiveLock' "
                    + "AND l.relation = 'admin.server_leases'::regclass AND a.state = 'idle in transaction'"
            );

    private static int PartOf(IServiceProvider process) =>
        process.GetRequiredService<ServerBudgets>().All.Single().Gate.Permits;

    /// <summary>Connections of the library to the tenants' database.</summary>
    private static async Task<long> CountAsync(TestApp app) =>
        (long)
            (
                await app.AdminAsync(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = (SELECT database_name FROM admin.database_connections)"
                )
            )!;

    private static Dictionary<string, string?> Settings(string? lease) =>
        new()
        {
            ["DB_ENCRYPTION_KEY"] = Key,
            ["NeoCommons:Connections:ServerBudget"] = $"{Total}",
            ["NeoCommons:AdminDatabase:ServerLease"] = lease,
        };

    private static async Task<IHost> JoinAsync(TestApp app, string? lease = "00:00:03", string? admin = null)
    {
        var settings = Settings(lease);
        settings["ADMIN_DATABASE_URL"] = admin ?? app.AdminConnectionString;
        var host = TestApp.BuildHost(
            app.Server,
            new NpgsqlConnectionStringBuilder(app.AdminConnectionString).Database!,
            settings,
            b => b.AddTenantDbContext<ShopDbContext>()
        );
        await host.StartAsync(Ct);
        return host;
    }

    private async Task<TestApp> StartAsync()
    {
        var app = await TestApp.StartAsync(servers.Postgres, settings: Settings("00:00:03"));
        await app.AdminAsync("UPDATE admin.database_connections SET pool_max_size = 20, pool_timeout_seconds = 60");
        await app.ReloadAsync();
        return app;
    }

    private sealed class Connections : IAsyncDisposable
    {
        private readonly Stack<NpgsqlConnection> _open = new();

        public async Task OpenAsync(IServiceProvider process, int count)
        {
            var connections = process.GetRequiredService<IDatabaseConnections>();
            var opening = Enumerable.Range(0, count).Select(_ => connections.OpenConnectionAsync("db1", Ct).AsTask());
            foreach (var connection in await Task.WhenAll(opening))
            {
                _open.Push(connection);
            }
        }

        public async Task CloseAsync(int count)
        {
            for (var i = 0; i < count; i++)
            {
                await _open.Pop().DisposeAsync();
            }
        }

        public async ValueTask DisposeAsync() => await CloseAsync(_open.Count);
    }
}
