using System.Transactions;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Quotas;

/// <summary>What a tenant that misbehaves costs the others.</summary>
public sealed class BlastRadiusTests(TestServers servers)
{
    private const int Others = 8;
    private static readonly int Breaks = new QuotaOptions().TenantMaxBreaks;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_tenant_that_sleeps_on_all_its_slots_takes_no_slot_of_the_others_and_no_connection_is_renewed()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 4 });
        var sleeper = await app.AddTenantAsync(row, "sleeper");
        var others = new List<Tenant>();
        for (var i = 0; i < Others; i++)
        {
            others.Add(await app.AddTenantAsync(row, $"other{i}"));
        }

        using var wake = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var asleep = Enumerable.Range(0, 50).Select(_ => SleepAsync(wake.Token)).ToList();
        await Eventually.EqualAsync((2, 48), () => WaitingAsync());
        var backends = Pids(await app.BackendsAsync(row));

        // Each of the others works on as if nobody slept: two slots are theirs, whatever the sleeper asks for.
        await Task.WhenAll(others.Select(WorkAsync));

        Assert.Equal((2, 48), await WaitingAsync());
        Assert.Subset(Pids(await app.BackendsAsync(row)), backends);
        Assert.InRange(await app.CountBackendsAsync(row), 2, 4);
        await wake.CancelAsync();
        await Task.WhenAll(asleep);
        Assert.Equal(0, await Held.OfPoolAsync(app, row));

        Task<(int, int)> WaitingAsync() => Held.OfTenantAsync(app, sleeper, row);

        async Task SleepAsync(CancellationToken ct)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
            {
                await using var context = await app.Contexts.CreateDbContextAsync(sleeper.Id, ct);
                await context.Database.ExecuteSqlRawAsync("SELECT pg_sleep(600)", ct);
            });
        }

        async Task WorkAsync(Tenant tenant)
        {
            for (var i = 0; i < 50; i++)
            {
                await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
                Assert.Equal(tenant.Slug, (await context.Items.SingleAsync(Ct)).Owner);
            }
        }
    }

    [Theory]
    [InlineData("53200")]
    [InlineData("XX000")]
    public async Task A_tenant_that_raises_errors_which_clear_the_pool_causes_no_error_of_the_others(string state)
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:Quotas:TenantMaxBreaks"] = "0" }
        );
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 4 });
        var raiser = await app.AddTenantAsync(row, "raiser");
        var other = await app.AddTenantAsync(row, "other");
        var raised = 0;
        var raising = Task.Run(
            async () =>
            {
                for (; raised < 50; raised++)
                {
                    await using var context = await app.Contexts.CreateDbContextAsync(raiser.Id, Ct);
                    var error = await Assert.ThrowsAsync<PostgresException>(() =>
                        context.Database.ExecuteSqlRawAsync(Raise(state), Ct)
                    );
                    Assert.Equal(state, error.SqlState);
                }
            },
            Ct
        );

        var worked = 0;
        for (; worked < 100 || !raising.IsCompleted; worked++)
        {
            await using var context = await app.Contexts.CreateDbContextAsync(other.Id, Ct);
            Assert.Equal("other", (await context.Items.SingleAsync(Ct)).Owner);
        }

        await raising;
        Assert.Equal((0, 0), await Held.OfTenantAsync(app, raiser, row));
        Assert.Equal(0, await Held.OfPoolAsync(app, row));
    }

    [Fact]
    public async Task On_a_DEDICATED_row_nobody_is_kept_apart_since_nobody_else_is_there()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { Type = ConnectionType.Dedicated });
        var tenant = await app.AddTenantAsync(row, "acme");
        var source = await app.AcquireAsync(row.Name);
        for (var i = 0; i < Breaks + 2; i++)
        {
            await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            await Assert.ThrowsAsync<PostgresException>(() => context.Database.ExecuteSqlRawAsync(Raise("53200"), Ct));
        }

        Assert.False(source.Quarantine.Holds(source.Tenants.Enter(tenant, source.Row)));

        // The same pool serves the row when there may be others.
        app.Registry.Change(row.Name, known => known with { Type = ConnectionType.Shared });
        for (var i = 0; i < Breaks; i++)
        {
            await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            await Assert.ThrowsAsync<PostgresException>(() => context.Database.ExecuteSqlRawAsync(Raise("53200"), Ct));
        }

        Assert.Same(source, await app.AcquireAsync(row.Name));
        Assert.True(source.Quarantine.Holds(source.Tenants.Enter(tenant, source.Row)));
    }

    [Fact]
    public async Task Who_raises_them_slowly_is_found_out_too()
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        var source = await app.AcquireAsync(row.Name);
        for (var i = 0; i < Breaks; i++)
        {
            // A disk is not filled in a moment.
            time.Advance(Quarantine.Within / (Breaks + 1));
            await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            await Assert.ThrowsAsync<PostgresException>(() => context.Database.ExecuteSqlRawAsync(Raise("53100"), Ct));
        }

        Assert.True(source.Quarantine.Holds(source.Tenants.Enter(tenant, source.Row)));
    }

    [Theory]
    [InlineData("53200", true)]
    [InlineData("XX000", false)]
    public async Task A_tenant_that_goes_on_raising_them_breaks_only_its_own_sessions(string state, bool raw)
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 4 });
        var raiser = await app.AddTenantAsync(row, "raiser");
        var other = await app.AddTenantAsync(row, "other");
        var source = await app.AcquireAsync(row.Name);
        var limiter = source.Tenants.Enter(raiser, source.Row);
        for (var i = 0; i < Breaks; i++)
        {
            Assert.False(source.Quarantine.Holds(limiter));
            await RaiseAsync();
        }

        Assert.True(source.Quarantine.Holds(limiter));
        var pid = await OtherAsync();
        await RaiseAsync();
        var paused = RaiseAsync();
        await Task.Delay(500, Ct);
        Assert.False(paused.IsCompleted);
        await PausedAsync(paused);
        for (var i = 0; i < 50; i++)
        {
            await PausedAsync(RaiseAsync());
            Assert.Equal(pid, await OtherAsync());
        }

        // Its own work is done too, under its limits, and leaves no session behind.
        Assert.Equal(["raiser"], await PausedAsync(OwnersAsync(raiser)));
        await Eventually.EqualAsync($"{pid}", async () => string.Join(',', Pids(await app.BackendsAsync(row))));
        Assert.Equal(0, await Held.OfPoolAsync(app, row));

        // Each break counts anew; when there was none for a while, it is one of them again.
        time.Advance(Quarantine.Lasting - TimeSpan.FromSeconds(1));
        await RaiseAsync();
        time.Advance(Quarantine.Lasting - TimeSpan.FromSeconds(1));
        Assert.True(source.Quarantine.Holds(limiter));
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.False(source.Quarantine.Holds(limiter));
        Assert.Equal(pid, await PidAsync(raiser));

        // Each break keeps the tenant's next open waiting, and nobody else's.
        async Task<T> PausedAsync<T>(Task<T> opening)
        {
            Assert.Equal(0, source.Gate.Taken);
            time.Advance(Quarantine.Pause);
            return await opening;
        }

        async Task<bool> RaiseAsync()
        {
            var error = await Assert.ThrowsAsync<PostgresException>(async () =>
            {
                if (raw)
                {
                    await using var connection = await app.Connections.OpenTenantConnectionAsync(raiser.Id, Ct);
                    await using var command = new NpgsqlCommand(Raise(state), connection);
                    await command.ExecuteNonQueryAsync(Ct);
                    return;
                }

                await using var context = await app.Contexts.CreateDbContextAsync(raiser.Id, Ct);
                await context.Database.ExecuteSqlRawAsync(Raise(state), Ct);
            });
            Assert.Equal(state, error.SqlState);
            return true;
        }

        async Task<int> OtherAsync()
        {
            Assert.Equal(["other"], await OwnersAsync(other));
            return await PidAsync(other);
        }

        async Task<List<string>> OwnersAsync(Tenant tenant)
        {
            await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            return await context.Items.Select(item => item.Owner).ToListAsync(Ct);
        }

        async Task<int> PidAsync(Tenant tenant)
        {
            await using var connection = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
            return await RuntimeApp.PidAsync(connection);
        }
    }

    [Theory]
    [InlineData("Always")]
    [InlineData("WhenUsed")]
    public async Task A_pooled_context_goes_from_the_pool_to_a_session_apart_and_back_and_is_its_tenants(string reset)
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:SessionReset"] = reset },
            contexts: b => b.AddPooledTenantDbContext<ItemsContext>(poolSize: 1)
        );
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 4 });
        var raiser = await app.AddTenantAsync(row, "raiser");
        var other = await app.AddTenantAsync(row, "other");
        var source = await app.AcquireAsync(row.Name);
        var limiter = source.Tenants.Enter(raiser, source.Row);
        for (var i = 0; i < 20; i++)
        {
            limiter.BrokeAt = i % 3 == 0 ? 0 : TimeProvider.System.GetTimestamp();
            foreach (var tenant in new[] { raiser, other })
            {
                await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
                Assert.Equal(tenant.Slug, (await context.Items.SingleAsync(Ct)).Owner);
                Assert.Equal(
                    tenant.Schema.Value,
                    await context
                        .Database.SqlQueryRaw<string>("SELECT current_schema()::text AS \"Value\"")
                        .SingleAsync(Ct)
                );
            }
        }

        Assert.Equal(0, await Held.OfPoolAsync(app, row));
    }

    [Fact]
    public async Task Backends_that_are_killed_put_nobody_apart()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var tenants = new[] { await app.AddTenantAsync(row, "a"), await app.AddTenantAsync(row, "b") };
        var source = await app.AcquireAsync(row.Name);
        for (var round = 0; round < 20; round++)
        {
            foreach (var tenant in tenants)
            {
                await using var connection = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
                await app.KillBackendsAsync(row);
                await Assert.ThrowsAnyAsync<NpgsqlException>(() => RuntimeApp.PidAsync(connection));
            }
        }

        Assert.All(tenants, t => Assert.False(source.Quarantine.Holds(source.Tenants.Enter(t, source.Row))));
    }

    [Fact]
    public async Task A_restart_puts_nobody_apart_though_one_tenant_has_all_that_it_may()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 40 });
        var tenant = await app.AddTenantAsync(row, "acme");
        var source = await app.AcquireAsync(row.Name);
        var open = new List<NpgsqlConnection>();
        while (open.Count < 2 * Breaks)
        {
            open.Add(await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct));
        }

        await app.KillBackendsAsync(row);
        foreach (var connection in open)
        {
            await Assert.ThrowsAnyAsync<NpgsqlException>(() => RuntimeApp.PidAsync(connection));
            await connection.DisposeAsync();
        }

        Assert.False(source.Quarantine.Holds(source.Tenants.Enter(tenant, source.Row)));
    }

    [Fact]
    public async Task Sessions_apart_count_among_those_that_the_server_has_for_us()
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:ServerBudget"] = "4" }
        );
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 4 });
        var raiser = await app.AddTenantAsync(row, "raiser");
        var source = await app.AcquireAsync(row.Name);
        await UseAllAsync(app, row);
        Assert.Equal(4, source.Server.Open);
        source.Tenants.Enter(raiser, source.Row).BrokeAt = TimeProvider.System.GetTimestamp();
        await using var apart = await app.Connections.OpenTenantConnectionAsync(raiser.Id, Ct);

        Assert.Equal(1, source.Server.Open);
        await Eventually.EqualAsync(1, () => app.CountBackendsAsync(row));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Who_waits_out_a_pause_is_one_of_those_that_wait_and_no_longer_than_the_pools_timeout(bool isAsync)
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:Quotas:TenantMaxWaiting"] = "3" },
            time: time
        );
        var row = await app.AddDatabaseAsync(row =>
            row with
            {
                MaxPoolSize = 4,
                PoolTimeout = TimeSpan.FromSeconds(2),
            }
        );
        var raiser = await app.AddTenantAsync(row, "raiser");
        var source = await app.AcquireAsync(row.Name);
        var limiter = source.Tenants.Enter(raiser, source.Row);
        limiter.BrokeAt = time.GetTimestamp() + 1;
        limiter.PausedUntil = time.GetTimestamp() + time.TimestampFrequency;

        // They hold nothing meanwhile, and the next one is refused.
        var paused = Enumerable.Range(0, 3).Select(_ => ReadAsync()).ToList();
        await Eventually.EqualAsync(3, () => Task.FromResult(limiter.Pauses.Waiting));
        var refused = await Assert.ThrowsAsync<TenantQuotaExceededException>(ReadAsync);
        Assert.Equal(TenantQuota.Waiting, refused.Quota);
        Assert.Equal((0, 0), (limiter.Connections.Taken, source.Gate.Taken));

        time.Advance(TimeSpan.FromSeconds(1));
        await Task.WhenAll(paused).WaitAsync(TimeSpan.FromMinutes(1), Ct);

        // A pause that is longer than one may wait at all is told at once.
        limiter.PausedUntil = time.GetTimestamp() + (long)(3 * time.TimestampFrequency);
        var apart = await Assert.ThrowsAsync<TenantQuotaExceededException>(ReadAsync);
        Assert.Equal((TenantQuota.Connections, 3), (apart.Quota, apart.RetryAfter.TotalSeconds));
        Assert.Equal((0, 0), await Held.OfTenantAsync(app, raiser, row));

        async Task ReadAsync()
        {
            await using var context = await app.Contexts.CreateDbContextAsync(raiser.Id, Ct);
            var item = isAsync
                ? await context.Items.SingleAsync(Ct)
                : await Task.Factory.StartNew(
                    () => context.Items.Single(),
                    Ct,
                    TaskCreationOptions.LongRunning,
                    TaskScheduler.Default
                );
            Assert.Equal("raiser", item.Owner);
        }
    }

    [Fact]
    public async Task A_pause_ends_with_its_pool_and_with_its_callers_patience()
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync();
        var raiser = await app.AddTenantAsync(row, "raiser");
        var source = await app.AcquireAsync(row.Name);
        var limiter = source.Tenants.Enter(raiser, source.Row);
        limiter.BrokeAt = time.GetTimestamp() + 1;
        limiter.PausedUntil = time.GetTimestamp() + (long)(5 * time.TimestampFrequency);

        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var cancelled = PidAsync(patience.Token);
        await Eventually.EqualAsync(1, () => Task.FromResult(limiter.Pauses.Waiting));
        await patience.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        Assert.Equal((0, 0), (limiter.Connections.Taken, source.Gate.Taken));

        // While the server is away nobody waits for anything.
        var refused = ReadAsync();
        await Eventually.EqualAsync(1, () => Task.FromResult(limiter.Pauses.Waiting));
        source.Tenants.EndAll();
        Assert.Equal(
            ConnectionUnavailableReason.Replaced,
            (
                await Assert.ThrowsAsync<ConnectionUnavailableException>(() =>
                    refused.WaitAsync(TimeSpan.FromMinutes(1), Ct)
                )
            ).Reason
        );

        // Whose pool is replaced asks the new one, which knows of no break.
        var replaced = PidAsync(Ct);
        await Eventually.EqualAsync(1, () => Task.FromResult(limiter.Pauses.Waiting));
        app.Registry.Change(row.Name, known => known with { MaxPoolSize = known.MaxPoolSize + 1 });
        app.Registry.Tell(row.Name);
        await replaced;

        async Task ReadAsync()
        {
            await using var context = await app.Contexts.CreateDbContextAsync(raiser.Id, Ct);
            await context.Items.SingleAsync(Ct);
        }

        async Task<int> PidAsync(CancellationToken ct)
        {
            await using var connection = await app.Connections.OpenTenantConnectionAsync(raiser.Id, ct);
            return await RuntimeApp.PidAsync(connection);
        }
    }

    [Fact]
    public async Task A_scope_in_which_a_tenant_is_put_apart_and_back_has_one_session()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var raiser = await app.AddTenantAsync(row, "raiser");
        var source = await app.AcquireAsync(row.Name);
        var limiter = source.Tenants.Enter(raiser, source.Row);
        var pids = new List<int>();
        foreach (var isApartFirst in new[] { false, true })
        {
            using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
            foreach (var isApart in new[] { isApartFirst, !isApartFirst })
            {
                limiter.BrokeAt = isApart ? TimeProvider.System.GetTimestamp() : 0;
                Assert.Equal(isApart, source.Quarantine.Holds(limiter));
                await using var context = await app.Contexts.CreateDbContextAsync(raiser.Id, Ct);
                Assert.Equal("raiser", (await context.Items.SingleAsync(Ct)).Owner);
                pids.Add(
                    await context.Database.SqlQueryRaw<int>("SELECT pg_backend_pid() AS \"Value\"").SingleAsync(Ct)
                );
            }

            scope.Complete();
        }

        Assert.Equal((pids[0], pids[2]), (pids[1], pids[3]));
    }

    [Fact]
    public async Task Sessions_apart_leave_the_others_connections_alone_though_all_of_the_pool_were_in_use_once()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 4 });
        var raiser = await app.AddTenantAsync(row, "raiser");
        var source = await app.AcquireAsync(row.Name);
        await UseAllAsync(app, row);
        var before = Pids(await app.BackendsAsync(row));
        Assert.Equal(4, before.Count);
        source.Tenants.Enter(raiser, source.Row).BrokeAt = TimeProvider.System.GetTimestamp();
        for (var i = 0; i < 10; i++)
        {
            await using var apart = await app.Connections.OpenTenantConnectionAsync(raiser.Id, Ct);
            Assert.DoesNotContain(await RuntimeApp.PidAsync(apart), before);
        }

        Assert.Subset(Pids(await app.BackendsAsync(row)), before);
    }

    [Fact]
    public async Task Behind_a_pooler_nobody_is_put_apart()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        var limiter = new TenantLimiter(new(), new(TimeSpan.FromMinutes(1), TimeProvider.System));
        limiter.Obey(tenant, row);
        foreach (var pooler in Enum.GetValues<PoolerMode>())
        {
            using var quarantine = new Quarantine(
                () => row with { Pooler = pooler },
                new(),
                () => throw new InvalidOperationException(),
                TimeProvider.System,
                NullLoggerFactory.Instance
            );
            limiter.BrokeAt = 0;
            for (var i = 0; i < 2 * Breaks; i++)
            {
                // What breaks there may be the server's end, and the breaker looks.
                Assert.Equal(
                    pooler == PoolerMode.None && i >= Breaks,
                    quarantine.Broke(limiter, TimeProvider.System.GetTimestamp())
                );
            }

            Assert.Equal(pooler == PoolerMode.None, quarantine.Holds(limiter));
        }
    }

    /// <summary>Leaves as many idle connections as the pool may have.</summary>
    private static async Task UseAllAsync(RuntimeApp app, DatabaseConnection row)
    {
        var open = new List<NpgsqlConnection>();
        while (open.Count < row.MaxPoolSize)
        {
            open.Add(await app.Connections.OpenConnectionAsync(row.Name, Ct));
        }

        foreach (var connection in open)
        {
            await connection.DisposeAsync();
        }
    }

    private static string Raise(string state) =>
        "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '" + state + "'; END $$";

    private static HashSet<int> Pids(IEnumerable<Backend> backends) => [.. backends.Select(b => b.Pid)];
}
