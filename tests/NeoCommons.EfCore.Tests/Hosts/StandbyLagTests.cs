using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>A standby that lags serves nobody, and nobody misses at a standby what he has written.</summary>
public sealed class StandbyLagTests(Pair pair) : IClassFixture<Pair>, IAsyncLifetime
{
    private static readonly Dictionary<string, string?> OneSecond = new()
    {
        ["NeoCommons:Connections:MaxStandbyLag"] = "00:00:01",
        ["NeoCommons:Connections:ReadYourWrites"] = "false",
    };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => default;

    public async ValueTask DisposeAsync() => await OnStandbyAsync("SELECT pg_wal_replay_resume()");

    [Fact]
    public async Task A_standby_that_is_too_far_behind_serves_again_when_it_has_caught_up()
    {
        await using var app = pair.NewApp(OneSecond);
        var tenant = await app.AddTenantAsync(await pair.AddAsync(app), "acme");
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);

        await OnStandbyAsync("SELECT pg_wal_replay_pause()");
        await WriteAsync(app, tenant, 2);
        await Eventually.TrueAsync(async () => !await ReadOnlyContextTests.IsOnStandbyAsync(app, tenant));

        // Not now and then either: each read sees what the primary has.
        for (var i = 0; i < 30; i++)
        {
            await using var reader = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);
            Assert.Equal(2, await reader.Items.CountAsync(Ct));
            await Task.Delay(50, Ct);
        }

        await ReadOnlyContextTests.AssertReadsOnlyAsync(app, tenant, isStandby: false, rows: 2);
        await OnStandbyAsync("SELECT pg_wal_replay_resume()");
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
    }

    [Fact]
    public async Task An_idle_primarys_standby_is_level_however_old_its_last_transaction_is()
    {
        await using var app = pair.NewApp(OneSecond);
        var tenant = await app.AddTenantAsync(await pair.AddAsync(app), "acme");
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);

        for (var i = 0; i < 40; i++)
        {
            Assert.True(await ReadOnlyContextTests.IsOnStandbyAsync(app, tenant));
            await Task.Delay(75, Ct);
        }
    }

    [Theory]
    [InlineData("save")]
    [InlineData("update")]
    [InlineData("sql")]
    [InlineData("raw")]
    [InlineData("transaction")]
    [InlineData("open")]
    public async Task What_a_tenant_has_written_it_reads_while_others_read_at_the_standby(string how)
    {
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        var other = await app.AddTenantAsync(row, "bolt");
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
        await ReadOnlyContextTests.OnStandbyAsync(app, other);

        await OnStandbyAsync("SELECT pg_wal_replay_pause()");
        await using var kept = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await WriteAsync(app, tenant, kept, how);

        for (var i = 0; i < 30; i++)
        {
            await using var reader = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);
            Assert.Equal("written", (await reader.Items.SingleAsync(Ct)).Owner);
            Assert.False(await ReadOnlyContextTests.IsStandbyAsync(reader));
            Assert.True(await ReadOnlyContextTests.IsOnStandbyAsync(app, other));
            await Task.Delay(75, Ct);
        }

        await kept.DisposeAsync();
        await OnStandbyAsync("SELECT pg_wal_replay_resume()");
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
        var writes = await WritesAsync(app, row);
        await Eventually.EqualAsync(0, () => Task.FromResult(writes.Count));
    }

    [Fact]
    public async Task What_is_written_where_a_dead_connection_was_opened_first_is_read_too()
    {
        await using var app = pair.NewApp(
            new Dictionary<string, string?> { ["NeoCommons:Connections:PrePingAfter"] = "00:00:00" }
        );
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        await WriteAsync(app, tenant, 2);
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
        await OnStandbyAsync("SELECT pg_wal_replay_pause()");

        // The write lasts for more than a look, and nothing is in the log before it: what was noted before would be settled by then.
        await using var other = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(pair.Primary.GetConnectionString(row.Database))
            {
                Pooling = false,
                ApplicationName = RuntimeApp.Direct,
            }.ConnectionString
        );
        await other.OpenAsync(Ct);
        await using var held = await other.BeginTransactionAsync(Ct);
        await using var hold = new NpgsqlCommand("LOCK TABLE tenant_acme.items IN SHARE MODE", other);
        await hold.ExecuteNonQueryAsync(Ct);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);

        // The driver knows that the primary is one, so it does not ask the session before it gives it away.
        await using (var warm = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct))
        {
            Assert.Equal(2, await warm.Items.CountAsync(Ct));
        }

        await Pair.KillAsync(pair.Primary, row.Database);
        var writing = context
            .Items.Where(i => i.Id == 2)
            .ExecuteUpdateAsync(set => set.SetProperty(i => i.Owner, "written"), Ct);
        await Task.Delay(3 * HostWatch.Interval, Ct);
        await held.RollbackAsync(Ct);
        Assert.Equal(1, await writing);

        await using var reader = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);
        Assert.Equal("written", (await reader.Items.SingleAsync(i => i.Id == 2, Ct)).Owner);
        await OnStandbyAsync("SELECT pg_wal_replay_resume()");
        await context.DisposeAsync();
        var writes = await WritesAsync(app, row);
        await Eventually.EqualAsync(0, () => Task.FromResult(writes.Count));
    }

    [Fact]
    public async Task With_the_option_off_a_tenant_that_has_written_still_reads_at_the_standby()
    {
        // A minute: however slow the machine is, the standby is not too far behind.
        await using var app = pair.NewApp(
            new Dictionary<string, string?>
            {
                ["NeoCommons:Connections:MaxStandbyLag"] = "00:01:00",
                ["NeoCommons:Connections:ReadYourWrites"] = "false",
            }
        );
        var tenant = await app.AddTenantAsync(await pair.AddAsync(app), "acme");
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);

        await OnStandbyAsync("SELECT pg_wal_replay_pause()");
        await WriteAsync(app, tenant, 2);

        for (var i = 0; i < 20; i++)
        {
            await using var reader = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);
            Assert.True(await ReadOnlyContextTests.IsStandbyAsync(reader));
            Assert.Equal(1, (await reader.Items.SingleAsync(Ct)).Id);
            await Task.Delay(75, Ct);
        }
    }

    [Fact]
    public async Task Reads_alone_send_nobody_to_the_primary()
    {
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
        await using var writer = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await writer.Items.ToListAsync(Ct);

        Assert.Equal(0, (await WritesAsync(app, row)).Count);
        Assert.True(await ReadOnlyContextTests.IsOnStandbyAsync(app, tenant));
    }

    private static async Task WriteAsync(RuntimeApp app, Tenant tenant, ItemsContext kept, string how)
    {
        const string update = "UPDATE items SET owner = 'written'";
        switch (how)
        {
            case "save":
                (await kept.Items.SingleAsync(Ct)).Owner = "written";
                await kept.SaveChangesAsync(Ct);
                break;
            case "update":
                await kept.Items.ExecuteUpdateAsync(set => set.SetProperty(i => i.Owner, "written"), Ct);
                break;
            case "sql":
                await kept.Database.ExecuteSqlRawAsync(update, Ct);
                break;
            case "raw":
                await using (var raw = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct))
                await using (var command = new NpgsqlCommand(update, raw))
                {
                    await command.ExecuteNonQueryAsync(Ct);
                }

                break;
            case "transaction":
                await using (var transaction = await kept.Database.BeginTransactionAsync(Ct))
                {
                    await kept.Items.ExecuteUpdateAsync(set => set.SetProperty(i => i.Owner, "written"), Ct);
                    await transaction.CommitAsync(Ct);
                }

                break;
            case "open":
                // Its connection stays open: the write is committed, and the lease has not ended.
                await kept.Database.OpenConnectionAsync(Ct);
                await kept.Items.ExecuteUpdateAsync(set => set.SetProperty(i => i.Owner, "written"), Ct);
                break;
        }
    }

    private static async Task WriteAsync(RuntimeApp app, Tenant tenant, int id)
    {
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        context.Items.Add(new Item { Id = id, Owner = tenant.Slug });
        await context.SaveChangesAsync(Ct);
    }

    private static async Task<TenantWrites> WritesAsync(RuntimeApp app, DatabaseConnection row)
    {
        var source = await app.Services.GetRequiredService<TenantDataSources>().AcquireAsync(row.Name, Ct);
        source.Release();
        return source.Hosts!.Writes;
    }

    private Task<object?> OnStandbyAsync(string sql) => Pair.ScalarAsync(pair.Standby, "postgres", sql);
}
