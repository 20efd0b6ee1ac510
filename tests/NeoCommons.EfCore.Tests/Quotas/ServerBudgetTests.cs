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
        Assert.InRange(budget.Wanted, 5, 6);
        budget.ForgetPeak();
        Assert.InRange(budget.Wanted, 5, 6);
        budget.ForgetPeak();
        Assert.Equal(0, budget.Wanted);

        async Task UseAsync()
        {
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
