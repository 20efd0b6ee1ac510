using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Tests.Hosts;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>A lease that outlives the drain of its pool writes no more where its row does not lead any more, and goes on where it does.</summary>
public sealed class LeftBehindTests(TestServers servers, Pair pair) : IClassFixture<Pair>
{
    private static readonly Dictionary<string, string?> ShortDrain = new()
    {
        ["NeoCommons:Connections:DrainTimeout"] = "00:00:00.500",
    };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<string, bool> Moves() =>
        new(
            from how in new[] { "database", "host", "inactive", "gone" }
            from inTransaction in new[] { true, false }
            select (how, inTransaction)
        );

    [Theory]
    [MemberData(nameof(Moves))]
    public async Task Where_the_row_leads_elsewhere_nothing_is_written_at_the_old_place(string how, bool inTransaction)
    {
        await using var app = new RuntimeApp(servers.Postgres, ShortDrain);
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await context.Database.OpenConnectionAsync(Ct);
        await using var raw = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        if (inTransaction)
        {
            await context.Database.BeginTransactionAsync(Ct);
        }

        Assert.Equal(1, await context.Items.CountAsync(Ct));
        var before = await app.AcquireAsync(row.Name);

        switch (how)
        {
            case "gone":
                app.Registry.Remove(row.Name);
                break;
            case "inactive":
                app.Registry.Set(row with { IsActive = false });
                break;
            case "database":
                app.Registry.Set(row with { Database = (await app.NewDatabaseAsync()).Database });
                break;
            default:
                app.Registry.Set(row with { Host = pair.Standby.Host, Port = pair.Standby.Port });
                break;
        }

        app.Registry.Tell(row.Name);
        await before.Life.WhenOver.WaitAsync(TimeSpan.FromSeconds(30), Ct);

        context.Items.Add(new Item { Id = 2, Owner = "left behind" });
        Assert.NotNull(
            await Record.ExceptionAsync(async () =>
            {
                await context.SaveChangesAsync(Ct);
                await (context.Database.CurrentTransaction?.CommitAsync(Ct) ?? Task.CompletedTask);
            })
        );
        await using var write = new NpgsqlCommand("INSERT INTO tenant_acme.items VALUES (3, 'raw')", raw);
        Assert.NotNull(await Record.ExceptionAsync(() => write.ExecuteNonQueryAsync(Ct)));
        Assert.Equal(1L, await app.DirectAsync(row, "SELECT count(*) FROM tenant_acme.items"));
        await Eventually.EqualAsync(0, () => app.CountBackendsAsync(row));
    }

    [Fact]
    public async Task Where_only_its_settings_have_changed_the_work_goes_on()
    {
        await using var app = new RuntimeApp(servers.Postgres, ShortDrain);
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await using var transaction = await context.Database.BeginTransactionAsync(Ct);
        var before = await app.AcquireAsync(row.Name);

        app.Registry.Set(row with { MaxPoolSize = row.MaxPoolSize + 1 });
        app.Registry.Tell(row.Name);
        await before.Life.WhenOver.WaitAsync(TimeSpan.FromSeconds(30), Ct);

        context.Items.Add(new Item { Id = 2, Owner = "acme" });
        await context.SaveChangesAsync(Ct);
        await transaction.CommitAsync(Ct);
        Assert.Equal(2L, await app.DirectAsync(row, "SELECT count(*) FROM tenant_acme.items"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Of_several_hosts_those_end_that_the_row_does_not_name_any_more(bool isHandedOut)
    {
        await using var app = pair.NewApp(ShortDrain);
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
        await using var reader = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);
        await reader.Database.OpenConnectionAsync(Ct);
        Assert.True(await ReadOnlyContextTests.IsStandbyAsync(reader));
        await using var writer = isHandedOut
            ? await (await app.Connections.GetDataSourceAsync(row.Name, Ct)).OpenConnectionAsync(Ct)
            : await app.Connections.OpenConnectionAsync(row.Name, Ct);
        var before = await app.AcquireAsync(row.Name);

        app.Registry.Set(
            row with
            {
                Host = pair.Standby.Host,
                Port = pair.Standby.Port,
                ReplicaHosts = ReplicaHosts.None,
            }
        );
        app.Registry.Tell(row.Name);
        await before.Life.WhenOver.WaitAsync(TimeSpan.FromSeconds(30), Ct);

        await using var write = new NpgsqlCommand("INSERT INTO tenant_acme.items VALUES (3, 'raw')", writer);
        Assert.NotNull(await Record.ExceptionAsync(() => write.ExecuteNonQueryAsync(Ct)));
        Assert.Equal(1, await reader.Items.CountAsync(Ct));
    }
}
