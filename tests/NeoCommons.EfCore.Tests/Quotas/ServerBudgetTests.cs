using System.Diagnostics;
using System.Threading.Channels;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Quotas;

/// <summary>A server is never asked for more connections than it has, however many rows lead to it.</summary>
public sealed class ServerBudgetTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Two_rows_of_one_server_share_its_budget_and_idle_connections_of_one_make_room_for_the_other()
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:ServerBudget"] = "3" }
        );
        var (one, other) = (await AddAsync(app, 3), await AddAsync(app, 3));
        var held = await OpenAsync(app, one, 3);
        var waiting = app.Connections.OpenConnectionAsync(other.Name, Ct).AsTask();
        await Eventually.EqualAsync(1, () => Task.FromResult(app.Connections.GetPoolMetrics(other.Name).Pending));
        Assert.Equal((3, 0), await CountAsync());

        await held.Pop().DisposeAsync();
        held.Push(await waiting);
        await Eventually.EqualAsync((2, 1), CountAsync);

        await CloseAsync(held);
        for (var i = 0; i < 3; i++)
        {
            await CloseAsync(await OpenAsync(app, other, 3));
            Assert.InRange((await CountAsync()).Other, 1, 3);
            await Eventually.TrueAsync(async () => await CountAsync() is var (a, b) && a + b <= 3);
            await CloseAsync(await OpenAsync(app, one, 3));
            await Eventually.TrueAsync(async () => await CountAsync() is var (a, b) && a + b <= 3);
        }

        Assert.Equal(0, await Held.LookAsync(app, one, source => source.Server.Gate.Taken));

        async Task<(int One, int Other)> CountAsync() =>
            (await app.CountBackendsAsync(one), await app.CountBackendsAsync(other));
    }

    [Fact]
    public async Task Who_waits_for_the_server_too_long_is_told_that_it_is_the_server()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:ServerBudget"] = "1" },
            time
        );
        var (one, other) = (await AddAsync(app, 3), await AddAsync(app, 3));
        await using var held = await app.Connections.OpenConnectionAsync(one.Name, Ct);
        var waiting = app.Connections.OpenConnectionAsync(other.Name, Ct).AsTask();

        time.Advance(other.PoolTimeout);

        var full = await Assert.ThrowsAsync<ConnectionUnavailableException>(() => waiting);
        Assert.Equal(ConnectionUnavailableReason.PoolExhausted, full.Reason);
        Assert.Contains("the 1 connections that server", full.Message, StringComparison.Ordinal);
        Assert.Equal(0, await Held.OfPoolAsync(app, other));
    }

    [Fact]
    public async Task Options_that_give_more_than_the_server_has_give_what_it_has()
    {
        await using var small = await PostgresServer.StartAsync(
            new PostgresServerOptions { MaxConnections = 12, Settings = { ["superuser_reserved_connections"] = "4" } },
            Ct
        );
        Assert.SkipUnless(small.Source == ServerSource.Binaries, "Another server has its own number.");
        await using var app = new RuntimeApp(
            small,
            new Dictionary<string, string?> { ["NeoCommons:Connections:ServerBudget"] = "500" }
        );
        var row = await AddAsync(app, 5);

        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }

        Assert.Equal((8, 8), await Held.LookAsync(app, row, s => (s.Server.Gate.Permits, s.Server.Total ?? 0)));
    }

    [Fact]
    public async Task Who_waits_for_the_server_is_woken_when_his_own_goes_down_and_others_wait_on()
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:ServerBudget"] = "1" }
        );
        var (one, other) = (await AddAsync(app, 3), await AddAsync(app, 3));
        await using var held = await app.Connections.OpenConnectionAsync(one.Name, Ct);
        var (waiting, others) = (
            app.Connections.OpenConnectionAsync(one.Name, Ct).AsTask(),
            app.Connections.OpenConnectionAsync(other.Name, Ct).AsTask()
        );
        await Eventually.TrueAsync(async () =>
            await Held.LookAsync(app, one, source => source.Server.Gate.Waiting) == 2
        );

        var source = await app.AcquireAsync(one.Name);
        for (var i = 0; i < 10; i++)
        {
            source.Breaker.Failed(OpenFailure.Silent(one, TimeSpan.FromSeconds(1), new TimeoutException()));
        }

        var ended = await Assert.ThrowsAsync<ConnectionUnavailableException>(() => waiting);
        Assert.Equal((one.Name, ConnectionUnavailableReason.CircuitOpen), (ended.ConnectionName, ended.Reason));
        Assert.False(others.IsCompleted);
        await held.DisposeAsync();
        await using (await others) { }

        Assert.Equal(0, source.Server.Gate.Taken);
    }

    [Fact]
    public async Task A_burst_at_the_start_finds_no_server_full_whose_number_nobody_knows_yet()
    {
        await using var small = await PostgresServer.StartAsync(
            new PostgresServerOptions { MaxConnections = 12, Settings = { ["superuser_reserved_connections"] = "4" } },
            Ct
        );
        Assert.SkipUnless(small.Source == ServerSource.Binaries, "Another server has its own number.");
        await using var app = new RuntimeApp(small);
        var rows = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => AddAsync(app, 5)));

        await Task.WhenAll(
            rows.SelectMany(row => Enumerable.Repeat(row, 5))
                .Select(row =>
                    Task.Run(
                        async () =>
                        {
                            await using var open = await app.Connections.OpenConnectionAsync(row.Name, Ct);
                            await Task.Delay(50, Ct);
                        },
                        Ct
                    )
                )
        );

        Assert.Equal(8, await Held.LookAsync(app, rows[0], source => source.Server.Gate.Permits));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Who_comes_while_what_was_closed_for_him_is_still_there_waits_a_moment(bool async)
    {
        var options = AuthenticationLog.Options();
        options.MaxConnections = 12;
        options.Settings["superuser_reserved_connections"] = "4";
        await using var small = await PostgresServer.StartAsync(options, Ct);
        Assert.SkipUnless(small.Source == ServerSource.Binaries, "Another server has its own number.");
        await using var app = new RuntimeApp(small);
        var (one, other) = (await AddAsync(app, 8), await AddAsync(app, 3));
        await app.DirectAsync(one, "CREATE ROLE app LOGIN PASSWORD 'app'");
        foreach (var row in new[] { one, other })
        {
            // A superuser would have the reserved ones.
            app.Registry.Set(row with { Username = "app", Password = Secret.FromText("app") });
        }

        var tenant = await app.AddTenantAsync(other, "acme");
        await app.DirectAsync(other, "GRANT USAGE ON SCHEMA tenant_acme TO app; GRANT ALL ON tenant_acme.items TO app");
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await CloseAsync(await OpenAsync(app, one, 8));
        var idle = (string)
            (
                await app.DirectAsync(
                    one,
                    "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE usename = 'app'"
                )
            )!;
        Signal("STOP");
        try
        {
            // All that the server has are theirs, and none of them can end.
            var opening = Task.Run(
                () => async ? context.Items.CountAsync(Ct) : Task.FromResult(context.Items.Count()),
                Ct
            );
            await Eventually.TrueAsync(async () =>
                opening.IsCompleted
                || (await AuthenticationLog.ReadAsync(small)).Any(line =>
                    line.Contains("remaining connection slots", StringComparison.Ordinal)
                )
            );
            Signal("CONT");

            Assert.Equal(1, await opening);
        }
        finally
        {
            Signal("CONT");
        }

        void Signal(string name)
        {
            // Of those that have ended by then it says so.
            using var kill = Process.Start(
                new ProcessStartInfo("kill", [$"-{name}", .. idle.Split(' ')]) { RedirectStandardError = true }
            )!;
            kill.WaitForExit();
        }
    }

    [Fact]
    public async Task A_process_learns_what_the_server_has_and_refuses_a_pool_that_cannot_fit()
    {
        await using var small = await PostgresServer.StartAsync(
            new PostgresServerOptions { MaxConnections = 12, Settings = { ["superuser_reserved_connections"] = "4" } },
            Ct
        );
        Assert.SkipUnless(small.Source == ServerSource.Binaries, "Another server has its own number.");
        await using var app = new RuntimeApp(small);
        var fits = await AddAsync(app, 8);
        var tooLarge = await AddAsync(app, 9);

        await using (await app.Connections.OpenConnectionAsync(fits.Name, Ct)) { }
        Assert.Equal(8, await Held.LookAsync(app, fits, source => source.Server.Gate.Permits));
        var refused = await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await app.Connections.OpenConnectionAsync(tooLarge.Name, Ct)
        );

        Assert.Equal(ConnectionUnavailableReason.InvalidConfiguration, refused.Reason);
        Assert.Contains("pool_max_size is 9, and the server has 8", refused.Message, StringComparison.Ordinal);
        await using (await app.Connections.OpenConnectionAsync(fits.Name, Ct)) { }
    }

    [Fact]
    public async Task Tenants_of_all_rows_take_turns_at_the_server_and_who_shares_a_hungry_ones_pool_waits_for_that_too()
    {
        const int Slots = 2;
        const int Hungry = 300;
        const int Small = 19;
        const int Each = 5;
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:ServerBudget"] = $"{Slots}" }
        );
        var first = await app.AddDatabaseAsync(row =>
            row with
            {
                MaxPoolSize = 20,
                Type = ConnectionType.Dedicated,
                PoolTimeout = TimeSpan.FromMinutes(10),
            }
        );
        var others = Enumerable.Range(0, 3).Select(_ => first with { Name = RuntimeApp.NewName() }).ToList();
        others.ForEach(app.Registry.Set);
        PooledDataSource[] pools =
        [
            await app.AcquireAsync(first.Name),
            .. await Task.WhenAll(others.Select(row => app.AcquireAsync(row.Name))),
        ];
        var hungry = await app.AddTenantAsync(first, "hungry");
        var beside = await app.AddTenantAsync(first, "beside");
        var small = new List<Tenant>();
        for (var i = 0; i < Small; i++)
        {
            small.Add(await app.AddTenantAsync(first, $"small{i}", others[i % others.Count].Name));
        }

        // Nobody is served before all stand in line, and then one after the other.
        var held = await OpenAsync(app, others[0], Slots);
        var open = Channel.CreateUnbounded<(Tenant Tenant, NpgsqlConnection Connection)>();
        var callers = Enumerable.Range(0, Hungry).Select(_ => CallAsync(hungry)).ToList();
        callers.AddRange(Enumerable.Range(0, Each).SelectMany(_ => small).Select(CallAsync));
        await AllStandAsync(served: 0, open: 0);
        await CloseAsync(held);
        var served = new List<string>();
        while (served.LastOrDefault() != hungry.Slug)
        {
            await ServeAsync();
        }

        // When the hungry one has just had its turn everywhere.
        var came = served.Count;
        callers.Add(CallAsync(beside));
        await AllStandAsync(served.Count, Slots);
        while (served.Count < callers.Count)
        {
            await ServeAsync();
        }

        await Task.WhenAll(callers);

        // One of each other tenant, and what the slots serve at once.
        Assert.All(small, tenant => Assert.InRange(served.IndexOf(tenant.Slug), 0, Small + Slots));

        // Of its pool one comes back in each round of the server, as long as the hungry one has all of them: the first one
        // goes to that, the second one to this tenant, which then stands in the server's round.
        Assert.InRange(served.IndexOf(beside.Slug) - came, 0, (3 * (Small + 1)) + (2 * Slots));
        Assert.Equal(0, await Held.LookAsync(app, first, source => source.Server.Gate.Taken));

        async Task CallAsync(Tenant tenant) =>
            await open.Writer.WriteAsync((tenant, await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct)), Ct);

        async Task ServeAsync()
        {
            var (tenant, connection) = await open.Reader.ReadAsync(Ct);
            served.Add(tenant.Slug);
            await connection.DisposeAsync();
            await AllStandAsync(served.Count, Math.Min(Slots, callers.Count - served.Count));
        }

        // Who has passed one gate and not yet come to the next stands in no line, and his turn might pass.
        Task AllStandAsync(int served, int open) =>
            Eventually.EqualAsync(
                callers.Count - served - open,
                () => Task.FromResult(pools.Sum(pool => pool.Gate.Waiting) + pools[0].Server.Gate.Waiting)
            );
    }

    private static Task<DatabaseConnection> AddAsync(RuntimeApp app, int pool) =>
        app.AddDatabaseAsync(row => row with { MaxPoolSize = pool });

    private static async Task<Stack<NpgsqlConnection>> OpenAsync(RuntimeApp app, DatabaseConnection row, int count)
    {
        var open = new Stack<NpgsqlConnection>();
        while (open.Count < count)
        {
            open.Push(await app.Connections.OpenConnectionAsync(row.Name, Ct));
        }

        return open;
    }

    [Fact]
    public async Task What_a_process_wants_is_what_its_callers_asked_for_at_once_though_most_of_them_had_to_wait()
    {
        var budget = new ServerBudget("server", given: 8, wanted: () => { });
        Assert.Equal(ServerBudget.LeastPart, budget.Gate.Permits);
        var callers = Enumerable.Range(0, 6).Select(_ => UseAsync()).ToList();
        foreach (var caller in callers)
        {
            await caller;
        }

        Assert.Equal((0, 0), (budget.Gate.Taken, budget.Gate.Waiting));
        Assert.Equal(6, budget.Wanted);
        budget.ForgetPeak();
        Assert.Equal(6, budget.Wanted);
        budget.ForgetPeak();
        Assert.Equal(0, budget.Wanted);

        async Task UseAsync()
        {
            budget.NoteUse(waiting: 1);
            await budget.Gate.TakeAsync(
                default,
                int.MaxValue,
                TimeSpan.FromMinutes(1),
                TimeProvider.System,
                CancellationToken.None,
                async: true,
                Ct
            );
            budget.NoteUse();
            await Task.Delay(100, Ct);
            budget.Gate.Release();
        }
    }

    private static async Task CloseAsync(Stack<NpgsqlConnection> open)
    {
        while (open.TryPop(out var one))
        {
            await one.DisposeAsync();
        }
    }
}
