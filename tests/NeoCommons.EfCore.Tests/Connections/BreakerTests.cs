using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>A server that does not answer costs its callers nothing, the others nothing, and nobody anything when it is back.</summary>
public sealed class BreakerTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Callers_of_a_silent_server_are_refused_without_a_try()
    {
        await using var proxied = await ProxiedAsync(row => row with { PoolTimeout = TimeSpan.FromSeconds(1) });
        proxied.Proxy.Blackhole();
        proxied.Proxy.Cut();
        await proxied.FailUntilOpenAsync();
        proxied.Proxy.ResetCounters();

        var refusals = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => proxied.RefusalAsync()));

        Assert.All(
            refusals,
            refusal =>
            {
                Assert.Equal(ConnectionUnavailableReason.CircuitOpen, refusal.Reason);
                Assert.Equal(TimeSpan.FromMilliseconds(500), refusal.RetryAfter);
                Assert.IsType<ConnectionUnavailableException>(refusal.InnerException);
                Assert.Contains(proxied.Row.Name, refusal.Message, StringComparison.Ordinal);
            }
        );

        // None of theirs: one of those that look for the server.
        Assert.InRange(proxied.Proxy.Counters.Connections, 0, 2);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task While_the_server_is_away_no_caller_is_let_through_to_see_whether_it_is_back(bool isSilent)
    {
        // The session that looks for a silent server hears nothing until the test is over, so all others are callers'.
        await using var proxied = await ProxiedAsync(
            row => row with { PoolTimeout = TimeSpan.FromSeconds(1000) },
            new() { ["NeoCommons:Connections:Breaker:ProbeTimeout"] = "01:00:00" }
        );
        if (isSilent)
        {
            proxied.Proxy.Blackhole();
            proxied.Proxy.Cut();
            proxied.Proxy.ResetCounters();
            while (!proxied.Breaker.IsOpen)
            {
                proxied.Breaker.Failed(new(proxied.Row.Name, ConnectionUnavailableReason.Unreachable, "It is silent."));
            }

            await Eventually.TrueAsync(() => proxied.Proxy.Counters.Connections == 1);
        }
        else
        {
            proxied.Stop();
            await proxied.FailUntilOpenAsync();
        }

        proxied.Proxy.ResetCounters();
        var refusals = new List<ConnectionUnavailableReason>();
        var going = Stopwatch.StartNew();
        while (going.Elapsed < new ConnectionBreakerOptions().BreakDuration * 3)
        {
            refusals.Add((await proxied.RefusalAsync().WaitAsync(TimeSpan.FromMinutes(1), Ct)).Reason);
            await Task.Delay(50, Ct);
        }

        Assert.All(refusals, reason => Assert.Equal(ConnectionUnavailableReason.CircuitOpen, reason));
        Assert.Equal(0, proxied.Proxy.Counters.Connections);
        Assert.True(proxied.Breaker.IsOpen);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_tenants_context_is_refused_too_and_works_again_when_the_server_is_back(bool async)
    {
        await using var proxied = await ProxiedAsync();
        var tenant = await proxied.App.AddTenantAsync(proxied.Direct, "acme", proxied.Row.Name);
        await using var context = await proxied.App.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        Assert.Equal("acme", (await context.Items.SingleAsync(Ct)).Owner);
        proxied.Stop();
        await proxied.FailUntilOpenAsync();

        var refusal = async
            ? await Record.ExceptionAsync(() => context.Items.SingleAsync(Ct))
            : Record.Exception(() => context.Items.Single());
        proxied.Proxy.Restore();
        await Eventually.TrueAsync(() => !proxied.Breaker.IsOpen);

        var unavailable = Assert.IsType<ConnectionUnavailableException>(refusal);
        Assert.Equal(ConnectionUnavailableReason.CircuitOpen, unavailable.Reason);
        Assert.Equal("acme", async ? (await context.Items.SingleAsync(Ct)).Owner : context.Items.Single().Owner);
    }

    [Fact]
    public async Task Who_scrapes_the_meter_sees_that_callers_are_refused()
    {
        await using var proxied = await ProxiedAsync();
        var open = new List<long>();
        using var listener = new MeterListener
        {
            InstrumentPublished = static (published, listener) =>
            {
                if (published.Name == "neocommons.connection.circuit_open")
                {
                    listener.EnableMeasurementEvents(published);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>(
            (_, value, tags, _) =>
            {
                if (tags.ToArray().Any(tag => Equals(tag.Value, proxied.Row.Name)))
                {
                    open.Add(value);
                }
            }
        );
        listener.Start();

        listener.RecordObservableInstruments();
        proxied.Stop();
        await proxied.FailUntilOpenAsync();
        listener.RecordObservableInstruments();
        proxied.Proxy.Restore();
        await Eventually.TrueAsync(() => !proxied.Breaker.IsOpen);
        listener.RecordObservableInstruments();

        Assert.Equal([0, 1, 0], open);
    }

    [Fact]
    public async Task Other_connections_do_not_notice()
    {
        await using var proxied = await ProxiedAsync();
        var other = await proxied.App.AddDatabaseAsync();
        proxied.Stop();
        await proxied.FailUntilOpenAsync();

        await using var connection = await proxied.App.Connections.OpenConnectionAsync(other.Name, Ct);

        Assert.True(await RuntimeApp.PidAsync(connection) > 0);
    }

    [Fact]
    public async Task Work_on_another_connection_goes_on_without_an_error_while_one_goes_down_and_comes_back()
    {
        await using var proxied = await ProxiedAsync();
        var other = await proxied.App.AddDatabaseAsync();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var done = 0;
        var work = Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(WorkAsync, Ct)));
        await SomeMoreAsync();

        proxied.Stop();
        await SomeMoreAsync();
        await proxied.FailUntilOpenAsync();
        await SomeMoreAsync();
        proxied.Proxy.Restore();
        await Eventually.TrueAsync(() => !proxied.Breaker.IsOpen);
        await SomeMoreAsync();
        await over.CancelAsync();

        // The first error of any of them ends it.
        await work;
        Assert.False((await proxied.App.AcquireAsync(other.Name)).Breaker.IsOpen);

        async Task WorkAsync()
        {
            while (!over.IsCancellationRequested)
            {
                await using var connection = await proxied.App.Connections.OpenConnectionAsync(other.Name, Ct);
                await RuntimeApp.PidAsync(connection);
                Interlocked.Increment(ref done);
            }
        }

        async Task SomeMoreAsync()
        {
            var before = Volatile.Read(ref done);
            await Eventually.TrueAsync(() => work.IsFaulted || Volatile.Read(ref done) >= before + 50);
        }
    }

    [Fact]
    public async Task Nobody_has_to_ask_for_the_server_to_be_found_again_and_then_nothing_asks_any_more()
    {
        await using var proxied = await ProxiedAsync();
        proxied.Stop();
        await proxied.FailUntilOpenAsync();

        proxied.Proxy.Restore();

        await Eventually.TrueAsync(() => !proxied.Breaker.IsOpen && !proxied.Breaker.IsWatching);
        await using var connection = await proxied.App.Connections.OpenConnectionAsync(proxied.Row.Name, Ct);
        Assert.True(await RuntimeApp.PidAsync(connection) > 0);
    }

    [Fact]
    public async Task A_silent_server_is_noticed_where_connections_break_in_use()
    {
        await using var proxied = await ProxiedAsync(row => row with { PoolTimeout = TimeSpan.FromSeconds(1) });
        await using var connection = await proxied.App.Connections.OpenConnectionAsync(proxied.Row.Name, Ct);
        proxied.Proxy.Blackhole();

        await using (var command = new NpgsqlCommand("SELECT 1", connection) { CommandTimeout = 1 })
        {
            await Assert.ThrowsAnyAsync<NpgsqlException>(() => command.ExecuteNonQueryAsync(Ct));
        }

        // Nobody opens one: what broke was enough for it to be looked at.
        await Eventually.TrueAsync(() => proxied.Breaker.IsOpen);
        proxied.Proxy.Restore();
        await Eventually.TrueAsync(() => !proxied.Breaker.IsOpen);
    }

    [Fact]
    public async Task A_silent_server_is_noticed_where_one_caller_asked_once_and_the_pools_timeout_is_long()
    {
        await using var proxied = await ProxiedAsync(
            row => row with { PrePing = false },
            new() { ["NeoCommons:Connections:Breaker:ProbeTimeout"] = "00:00:02" }
        );
        Assert.Equal(TimeSpan.FromSeconds(30), proxied.Row.PoolTimeout);
        await using var taken = await proxied.App.Connections.OpenConnectionAsync(proxied.Row.Name, Ct);
        proxied.Proxy.Blackhole();
        using var soon = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        soon.CancelAfter(TimeSpan.FromSeconds(1.5));
        await Record.ExceptionAsync(async () =>
            await proxied.App.Connections.OpenConnectionAsync(proxied.Row.Name, soon.Token)
        );

        await Eventually.TrueAsync(() => proxied.Breaker.IsOpen);
        Assert.Equal(ConnectionUnavailableReason.CircuitOpen, (await proxied.RefusalAsync()).Reason);
        proxied.Proxy.Restore();
        await Eventually.TrueAsync(() => !proxied.Breaker.IsOpen);
    }

    [Fact]
    public async Task A_silent_server_is_noticed_where_all_connections_are_in_use_and_wait_for_it()
    {
        await using var proxied = await ProxiedAsync(
            row => row with { MaxPoolSize = 1, PoolTimeout = TimeSpan.FromSeconds(2) },
            new() { ["NeoCommons:Connections:Breaker:ProbeTimeout"] = "00:00:01" }
        );
        await using var taken = await proxied.App.Connections.OpenConnectionAsync(proxied.Row.Name, Ct);
        proxied.Proxy.Blackhole();

        Assert.Equal(ConnectionUnavailableReason.PoolExhausted, (await proxied.RefusalAsync()).Reason);
        await Eventually.TrueAsync(() => proxied.Breaker.IsOpen);
        Assert.Equal(ConnectionUnavailableReason.CircuitOpen, (await proxied.RefusalAsync()).Reason);
        proxied.Proxy.Restore();
        await Eventually.TrueAsync(() => !proxied.Breaker.IsOpen);
    }

    [Fact]
    public async Task A_server_without_a_slot_for_anybody_of_the_pool_is_an_outage_however_many_log_in_at_once()
    {
        await using var small = await PostgresServer.StartAsync(
            new PostgresServerOptions { MaxConnections = 10, Settings = { ["superuser_reserved_connections"] = "0" } },
            Ct
        );
        Assert.SkipUnless(small.Source == ServerSource.Binaries, "Another server has its own number.");
        await using var app = new RuntimeApp(small);
        var row = await app.AddDatabaseAsync(r => r with { MaxPoolSize = 8 });
        var breaker = (await app.AcquireAsync(row.Name)).Breaker;
        var others = new List<NpgsqlConnection>();
        try
        {
            Exception? full = null;
            while (full is null)
            {
                var other = new NpgsqlConnection(small.ConnectionString + ";Pooling=false");
                others.Add(other);
                full = await Record.ExceptionAsync(() => other.OpenAsync(Ct));
            }

            await Eventually.TrueAsync(async () =>
            {
                await Task.WhenAll(
                    Enumerable
                        .Range(0, 8)
                        .Select(async _ =>
                            await Record.ExceptionAsync(async () =>
                                await app.Connections.OpenConnectionAsync(row.Name, Ct)
                            )
                        )
                );
                return breaker.IsOpen;
            });
        }
        finally
        {
            foreach (var other in others)
            {
                await other.DisposeAsync();
            }
        }

        await Eventually.TrueAsync(() => !breaker.IsOpen);
    }

    [Fact]
    public async Task A_server_without_a_slot_serves_those_who_have_one()
    {
        await using var small = await PostgresServer.StartAsync(
            new PostgresServerOptions { MaxConnections = 10, Settings = { ["superuser_reserved_connections"] = "0" } },
            Ct
        );
        Assert.SkipUnless(small.Source == ServerSource.Binaries, "Another server has its own number.");
        await using var app = new RuntimeApp(small);
        var row = await app.AddDatabaseAsync(r => r with { MaxPoolSize = 9 });
        await using var first = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        var others = new List<NpgsqlConnection>();
        try
        {
            while (await TakeAsync()) { }

            for (var i = 0; i < 20; i++)
            {
                var refused = await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
                    await app.Connections.OpenConnectionAsync(row.Name, Ct)
                );
                Assert.Equal(ConnectionUnavailableReason.Refused, refused.Reason);
            }

            // Busy is not down, for a look beside the pool neither.
            var seen = (await app.Connections.CheckAsync(row.Name, Ct))[row.Name];
            Assert.Equal((ConnectionHealthStatus.Degraded, "saturated"), (seen.Status, seen.Reason));

            // It goes back, and the next one has it.
            await first.CloseAsync();
            await using var next = await app.Connections.OpenConnectionAsync(row.Name, Ct);
            Assert.True(await RuntimeApp.PidAsync(next) > 0);
            Assert.False((await app.AcquireAsync(row.Name)).Breaker.IsOpen);
        }
        finally
        {
            foreach (var other in others)
            {
                await other.DisposeAsync();
            }
        }

        async Task<bool> TakeAsync()
        {
            var other = new NpgsqlConnection(small.ConnectionString + ";Pooling=false");
            others.Add(other);
            return await Record.ExceptionAsync(() => other.OpenAsync(Ct)) is null;
        }
    }

    [Fact]
    public async Task Killed_backends_open_nothing_where_the_server_takes_connections()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var breaker = (await app.AcquireAsync(row.Name)).Breaker;
        for (var round = 0; round < 5; round++)
        {
            var open = await Task.WhenAll(
                Enumerable.Range(0, 10).Select(_ => app.Connections.OpenConnectionAsync(row.Name, Ct).AsTask())
            );
            await app.KillBackendsAsync(row);
            foreach (var connection in open)
            {
                await Assert.ThrowsAnyAsync<NpgsqlException>(() => RuntimeApp.PidAsync(connection));
                await connection.DisposeAsync();
                Assert.False(breaker.IsOpen);
            }
        }

        await Eventually.TrueAsync(() => !breaker.IsWatching);
    }

    [Fact]
    public async Task Sessions_that_are_hung_up_on_open_nothing_where_the_next_one_works()
    {
        await using var proxied = await ProxiedAsync();
        var source = await proxied.App.AcquireAsync(proxied.Row.Name);
        var lost = 0;
        for (var i = 0; i < 20; i++)
        {
            // Else the one that looks for the server is cut too.
            await Eventually.TrueAsync(() => !proxied.Breaker.IsWatching);
            source.Clear();
            _ = proxied.Proxy.BeforePiece(
                1,
                ProxyDirection.ToServer,
                () =>
                {
                    proxied.Proxy.Cut();
                    return Task.CompletedTask;
                }
            );
            var e = await Record.ExceptionAsync(async () =>
            {
                await using var _ = await proxied.App.Connections.OpenConnectionAsync(proxied.Row.Name, Ct);
            });
            lost += e is ConnectionUnavailableException { Reason: ConnectionUnavailableReason.Unreachable } ? 1 : 0;
            Assert.False(proxied.Breaker.IsOpen);
        }

        Assert.True(lost > 5, $"{lost}");
        await Eventually.TrueAsync(() => !proxied.Breaker.IsWatching);
    }

    [Fact]
    public async Task A_server_that_is_away_behind_a_pooler_is_noticed_and_found_again()
    {
        await using var server = await PostgresServer.StartAsync(ct: Ct);
        await using var pooler = await StartPoolerAsync(server);
        await using var app = new RuntimeApp(server, BehindPooler);
        var row = await AddBehindAsync(pooler, app, server);
        var breaker = (await app.AcquireAsync(row.Name)).Breaker;
        await UseAsync(app, row);

        await server.StopAsync(ct: Ct);
        await FailUntilOpenAsync(app, row, breaker);
        await server.StartAgainAsync(Ct);
        await Eventually.TrueAsync(() => !breaker.IsOpen && !breaker.IsWatching);

        await UseAsync(app, row);
    }

    [Fact]
    public async Task Behind_a_pooler_a_lease_that_ends_unused_is_no_sign_that_the_server_is_back()
    {
        // Nobody else looks either: what the breaker waits before it asks again does not pass.
        var held = TimeSpan.FromMilliseconds(777);
        await using var server = await PostgresServer.StartAsync(ct: Ct);
        await using var pooler = await StartPoolerAsync(server);
        await using var app = new RuntimeApp(
            server,
            new Dictionary<string, string?>(BehindPooler)
            {
                ["NeoCommons:Connections:Breaker:BreakDuration"] = $"{held}",
            },
            new HeldTimers(held)
        );
        var row = await AddBehindAsync(pooler, app, server);
        var breaker = (await app.AcquireAsync(row.Name)).Breaker;
        await UseAsync(app, row);
        await using var unused = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await server.StopAsync(ct: Ct);
        await FailUntilOpenAsync(app, row, breaker);

        // From now on the next success would close it.
        await Task.Delay(held * 2, Ct);
        await unused.DisposeAsync();

        Assert.True(breaker.IsOpen);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_refused_login_or_database_is_no_outage(bool wrongPassword)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row =>
            wrongPassword
                ? row with
                {
                    Password = Secret.FromText("wrong"),
                }
                : row with
                {
                    Database = "no_such_database",
                }
        );
        for (var i = 0; i < 20; i++)
        {
            var refusal = await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
                await app.Connections.OpenConnectionAsync(row.Name, Ct)
            );
            Assert.NotEqual(ConnectionUnavailableReason.CircuitOpen, refusal.Reason);
        }
    }

    [Fact]
    public async Task A_hundred_statements_that_fail_are_no_outage_and_nobody_looks_at_the_server_for_them()
    {
        await using var proxied = await ProxiedAsync(row => row with { MaxPoolSize = 1 });
        var tenant = await proxied.App.AddTenantAsync(proxied.Direct, "acme", proxied.Row.Name);
        proxied.Proxy.ResetCounters();

        for (var i = 0; i < 50; i++)
        {
            await FailAsync("SELECT * FROM no_such_table", PostgresErrorCodes.UndefinedTable, withContext: i % 2 == 0);
            await FailAsync("INSERT INTO items VALUES (1, 'acme')", PostgresErrorCodes.UniqueViolation, i % 2 == 0);
        }

        Assert.Equal(0, proxied.Proxy.Counters.Connections);

        async Task FailAsync(string sql, string state, bool withContext)
        {
            PostgresException failure;
            if (withContext)
            {
                await using var context = await proxied.App.Contexts.CreateDbContextAsync(tenant.Id, Ct);
                failure = await Assert.ThrowsAsync<PostgresException>(() =>
                    context.Database.ExecuteSqlRawAsync(sql, Ct)
                );
            }
            else
            {
                await using var connection = await proxied.App.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
                await using var command = new NpgsqlCommand(sql, connection);
                failure = await Assert.ThrowsAsync<PostgresException>(() => command.ExecuteNonQueryAsync(Ct));
            }

            Assert.Equal(state, failure.SqlState);
            Assert.Equal((false, false), (proxied.Breaker.IsOpen, proxied.Breaker.IsWatching));
        }
    }

    [Fact]
    public async Task A_pool_that_is_used_up_is_no_outage()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row =>
            row with
            {
                MaxPoolSize = 1,
                PoolTimeout = TimeSpan.FromSeconds(1),
            }
        );
        await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        var refusals = await Task.WhenAll(
            Enumerable
                .Range(0, 20)
                .Select(_ =>
                    Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
                        await app.Connections.OpenConnectionAsync(row.Name, Ct)
                    )
                )
        );

        Assert.All(refusals, refusal => Assert.Equal(ConnectionUnavailableReason.PoolExhausted, refusal.Reason));
        Assert.False((await app.AcquireAsync(row.Name)).Breaker.IsOpen);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(3600, false)]
    public async Task After_a_long_outage_the_pool_is_built_anew(int rebuildAfterSeconds, bool isRebuilt)
    {
        await using var proxied = await ProxiedAsync(
            settings: new()
            {
                ["NeoCommons:Connections:Breaker:RebuildAfter"] = $"{TimeSpan.FromSeconds(rebuildAfterSeconds)}",
            }
        );
        var before = await proxied.App.AcquireAsync(proxied.Row.Name);
        proxied.Stop();
        await proxied.FailUntilOpenAsync();
        proxied.Proxy.Restore();
        await Eventually.TrueAsync(() => !before.Breaker.IsOpen && !before.Breaker.IsWatching);

        var after = await proxied.App.AcquireAsync(proxied.Row.Name);

        Assert.Equal(isRebuilt, !ReferenceEquals(before, after));
    }

    [Fact]
    public async Task A_closed_pool_asks_no_more()
    {
        await using var proxied = await ProxiedAsync();
        proxied.Stop();
        await proxied.FailUntilOpenAsync();
        await proxied.App.Connections.CloseAllAsync();
        proxied.Proxy.Restore();
        proxied.Proxy.ResetCounters();

        await Task.Delay(TimeSpan.FromSeconds(1.5), Ct);

        Assert.Equal(0, proxied.Proxy.Counters.Connections);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Who_waits_for_his_turn_is_refused_when_the_server_goes(bool atTenantsLimit)
    {
        await using var proxied = await ProxiedAsync(row =>
            row with
            {
                MaxPoolSize = atTenantsLimit ? 5 : 1,
                PoolTimeout = TimeSpan.FromMinutes(10),
            }
        );
        var tenant = await proxied.App.AddTenantAsync(proxied.Direct, "acme", proxied.Row.Name);
        proxied.App.Tenants.Set(tenant with { Limits = new TenantLimits { MaxConnections = 1 } });
        await using var held = await proxied.App.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
        var waiting = proxied.App.Connections.OpenTenantConnectionAsync(tenant.Id, Ct).AsTask();
        proxied.Stop();

        // Nobody gives one back.
        proxied.Breaker.InDoubt();
        await Eventually.TrueAsync(() => proxied.Breaker.IsOpen);

        var refusal = await Assert.ThrowsAsync<ConnectionUnavailableException>(() =>
            waiting.WaitAsync(TimeSpan.FromMinutes(1), Ct)
        );
        Assert.Equal(ConnectionUnavailableReason.CircuitOpen, refusal.Reason);
        Assert.Equal(0, proxied.App.Connections.GetPoolMetrics(proxied.Row.Name).Pending);
    }

    [Fact]
    public async Task Whose_waiting_has_ended_is_told_of_the_outage_though_it_is_over_when_he_looks()
    {
        await using var proxied = await ProxiedAsync(row => row with { MaxPoolSize = 1 });
        proxied.Stop();
        await proxied.FailUntilOpenAsync();
        proxied.Proxy.Restore();
        await Eventually.TrueAsync(() => !proxied.Breaker.IsOpen);
        await using var held = await proxied.App.Connections.OpenConnectionAsync(proxied.Row.Name, Ct);
        var waiting = proxied.RefusalAsync();

        // As the breaker does when it opens.
        (await proxied.App.AcquireAsync(proxied.Row.Name)).Gate.EndAll();

        Assert.Equal(ConnectionUnavailableReason.CircuitOpen, (await waiting).Reason);
    }

    [Fact]
    public async Task Of_a_row_with_several_hosts_no_breaker_asks_since_each_host_is_looked_at()
    {
        await using var proxied = await ProxiedAsync(row =>
            row with
            {
                ReplicaHosts = ReplicaHosts.Parse("127.0.0.1:1"),
            }
        );
        var connection = await proxied.App.Connections.OpenConnectionAsync(proxied.Row.Name, Ct);
        proxied.Stop();
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => RuntimeApp.PidAsync(connection));
        Assert.Equal(System.Data.ConnectionState.Broken, connection.FullState);

        await connection.DisposeAsync();

        Assert.False(proxied.Breaker.IsWatching);
    }

    private Task<BehindProxy> ProxiedAsync(
        Func<DatabaseConnection, DatabaseConnection>? change = null,
        Dictionary<string, string?>? settings = null
    ) => BehindProxy.StartAsync(servers.Postgres, change, settings);

    private static Dictionary<string, string?> BehindPooler =>
        new() { ["NeoCommons:Connections:Breaker:ProbeTimeout"] = "00:00:00.5" };

    private static Task<PgBouncerServer> StartPoolerAsync(PostgresServer server) =>
        PgBouncerServer.StartAsync(
            server,
            new PgBouncerServerOptions { Settings = { ["server_login_retry"] = "0.1" } },
            Ct
        );

    private static async Task<DatabaseConnection> AddBehindAsync(
        PgBouncerServer pooler,
        RuntimeApp app,
        PostgresServer server
    )
    {
        var row = await app.NewDatabaseAsync();
        await app.DirectAsync(
            row,
            $"ALTER ROLE \"{server.Username}\" IN DATABASE \"{row.Database}\" SET search_path = neocommons_no_tenant"
        );
        row = row with { Host = pooler.Host, Port = pooler.Port, Pooler = PoolerMode.Transaction };
        app.Registry.Set(row);
        return row;
    }

    // The pooler lets its clients in, and lets them wait.
    private static async Task UseAsync(RuntimeApp app, DatabaseConnection row)
    {
        await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await using var command = new NpgsqlCommand("SELECT 1", connection) { CommandTimeout = 1 };
        await command.ExecuteNonQueryAsync(Ct);
    }

    private static Task FailUntilOpenAsync(RuntimeApp app, DatabaseConnection row, ConnectionBreaker breaker) =>
        Eventually.TrueAsync(async () =>
        {
            await Record.ExceptionAsync(() => UseAsync(app, row));
            return breaker.IsOpen;
        });

    /// <summary>A clock whose timers of one length never come due.</summary>
    private sealed class HeldTimers(TimeSpan held) : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            base.CreateTimer(callback, state, dueTime == held ? TimeSpan.FromDays(1) : dueTime, period);
    }
}
