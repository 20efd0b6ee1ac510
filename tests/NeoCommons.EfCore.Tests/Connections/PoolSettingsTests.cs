using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>Each pool setting of a row has its effect, seen from the server.</summary>
public sealed class PoolSettingsTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public async Task Pruning_leaves_exactly_the_minimum_of_idle_connections(int minimum)
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?>
            {
                ["NeoCommons:Connections:IdleLifetime"] = "00:00:02",
                ["NeoCommons:Connections:PruningInterval"] = "00:00:01",
            }
        );
        var row = await app.AddDatabaseAsync(row => row with { MinPoolSize = minimum, MaxPoolSize = 6 });
        await UseAtOnceAsync(app, row, 6);
        Assert.Equal(6, await app.CountBackendsAsync(row));

        await Eventually.EqualAsync(minimum, () => app.CountBackendsAsync(row));

        // Several more rounds of pruning take none away.
        await Task.Delay(TimeSpan.FromSeconds(4), Ct);
        Assert.Equal(minimum, await app.CountBackendsAsync(row));
    }

    [Fact]
    public async Task A_pool_opens_no_connection_ahead_of_its_use()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MinPoolSize = 5 });

        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct))
        {
            Assert.Equal(1, await app.CountBackendsAsync(row));
        }
    }

    [Fact]
    public async Task There_are_never_more_backends_than_the_maximum_and_the_next_caller_waits()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 3 });
        var leased = new List<NpgsqlConnection>();
        for (var i = 0; i < 3; i++)
        {
            leased.Add(await app.Connections.OpenConnectionAsync(row.Name, Ct));
        }

        var next = app.Connections.OpenConnectionAsync(row.Name, Ct).AsTask();
        await Eventually.EqualAsync(1, () => Task.FromResult(app.Connections.GetPoolMetrics(row.Name).Pending));
        Assert.False(next.IsCompleted);
        Assert.Equal(3, await app.CountBackendsAsync(row));

        await leased[0].DisposeAsync();
        await using (await next)
        {
            Assert.Equal(3, await app.CountBackendsAsync(row));
        }

        await leased[1].DisposeAsync();
        await leased[2].DisposeAsync();
    }

    [Fact]
    public async Task Many_callers_share_the_maximum_of_connections()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 4 });
        var most = 0;

        await Parallel.ForEachAsync(
            Enumerable.Range(0, 40),
            new ParallelOptions { MaxDegreeOfParallelism = 40, CancellationToken = Ct },
            async (_, ct) =>
            {
                await using var connection = await app.Connections.OpenConnectionAsync(row.Name, ct);
                await using var command = new NpgsqlCommand(
                    "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() "
                        + "AND backend_type = 'client backend'",
                    connection
                );
                InterlockedMax(ref most, (int)(await command.ExecuteScalarAsync(ct))!);
            }
        );

        Assert.InRange(most, 1, 4);
    }

    [Fact]
    public async Task An_exhausted_pool_is_refused_after_its_timeout_with_both_values_named()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row =>
            row with
            {
                MaxPoolSize = 2,
                PoolTimeout = TimeSpan.FromSeconds(1),
            }
        );
        var tenant = await app.AddTenantAsync(row, "acme");
        await using var first = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await using var second = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        var raw = await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await app.Connections.OpenConnectionAsync(row.Name, Ct)
        );
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var ef = await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await context.Items.FindAsync([1], Ct)
        );
        var sync = Assert.Throws<ConnectionUnavailableException>(() => context.Items.Find(1));

        foreach (var exhausted in new[] { raw, ef, sync })
        {
            Assert.Equal(ConnectionUnavailableReason.PoolExhausted, exhausted.Reason);
            Assert.Equal(row.Name, exhausted.ConnectionName);
            Assert.Contains("all 2 connections", exhausted.Message, StringComparison.Ordinal);
            Assert.Contains("for 1 s", exhausted.Message, StringComparison.Ordinal);
            Assert.Contains("pool_max_size", exhausted.Message, StringComparison.Ordinal);
            Assert.Contains("pool_timeout_seconds", exhausted.Message, StringComparison.Ordinal);
        }

        await first.CloseAsync();
        Assert.Equal("acme", (await context.Items.FindAsync([1], Ct))!.Owner);
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(0, true)]
    public async Task A_connection_older_than_the_recycle_time_is_replaced(int recycleSeconds, bool same)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row =>
            row with
            {
                MaxPoolSize = 1,
                PoolRecycle = TimeSpan.FromSeconds(recycleSeconds),
            }
        );

        var before = await LeaseForAsync(TimeSpan.FromMilliseconds(1500));
        var after = await LeaseForAsync(TimeSpan.Zero);

        Assert.Equal(same, before == after);

        async Task<int> LeaseForAsync(TimeSpan duration)
        {
            await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);
            var pid = await RuntimeApp.PidAsync(connection);
            await Task.Delay(duration, Ct);
            return pid;
        }
    }

    private static async Task UseAtOnceAsync(RuntimeApp app, DatabaseConnection row, int count)
    {
        var leased = new List<NpgsqlConnection>();
        for (var i = 0; i < count; i++)
        {
            leased.Add(await app.Connections.OpenConnectionAsync(row.Name, Ct));
        }

        foreach (var connection in leased)
        {
            await connection.DisposeAsync();
        }
    }

    private static void InterlockedMax(ref int most, int value)
    {
        for (var known = Volatile.Read(ref most); value > known; )
        {
            known = Interlocked.CompareExchange(ref most, value, known) is var seen && seen == known ? value : seen;
        }
    }
}
