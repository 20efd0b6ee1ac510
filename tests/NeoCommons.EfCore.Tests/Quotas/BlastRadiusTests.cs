using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
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
            Assert.Equal(0, limiter.Connections.Taken);
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
    public async Task A_restart_puts_nobody_apart_though_one_tenant_has_all_connections()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 20, Type = ConnectionType.Dedicated });
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
        var idle = new List<NpgsqlConnection>();
        while (idle.Count < 4)
        {
            idle.Add(await app.Connections.OpenConnectionAsync(row.Name, Ct));
        }

        foreach (var connection in idle)
        {
            await connection.DisposeAsync();
        }

        Assert.Equal(4, source.Server.Open);
        source.Tenants.Enter(raiser, source.Row).BrokeAt = TimeProvider.System.GetTimestamp();
        await using var apart = await app.Connections.OpenTenantConnectionAsync(raiser.Id, Ct);

        Assert.Equal(1, source.Server.Open);
        await Eventually.EqualAsync(1, () => app.CountBackendsAsync(row));
    }

    private static string Raise(string state) =>
        "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '" + state + "'; END $$";

    private static HashSet<int> Pids(IEnumerable<Backend> backends) => [.. backends.Select(b => b.Pid)];
}
