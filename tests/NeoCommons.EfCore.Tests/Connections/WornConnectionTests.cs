using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>A connection that has served many schemas is replaced: its server process forgets nothing.</summary>
public sealed class WornConnectionTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task It_is_replaced_after_so_many_tables(bool async)
    {
        await using var app = App(3);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var tenants = new List<Tenant>();
        for (var i = 0; i < 7; i++)
        {
            tenants.Add(await app.AddTenantAsync(row, $"t{i}"));
        }

        var pids = new List<int>();
        foreach (var tenant in tenants)
        {
            await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            context.Database.OpenConnection();
            pids.Add((await app.BackendsAsync(row)).Single().Pid);
            var item = async ? await context.Items.SingleAsync(Ct) : context.Items.Single();
            Assert.Equal(tenant.Slug, item.Owner);
        }

        Assert.Equal([3, 3, 1], pids.GroupBy(pid => pid).Select(group => group.Count()));
    }

    [Fact]
    public async Task Each_table_of_the_contexts_model_counts()
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:MaxTablesPerConnection"] = "6" },
            contexts: b => b.AddTenantDbContext<WideContext>()
        );
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var contexts = app.Services.GetRequiredService<ITenantDbContextFactory<WideContext>>();
        var pids = new List<int>();
        for (var i = 0; i < 5; i++)
        {
            var tenant = await app.AddTenantAsync(row, $"t{i}");
            await using var context = await contexts.CreateDbContextAsync(tenant.Id, Ct);
            pids.Add(await context.Database.SqlQueryRaw<int>("SELECT pg_backend_pid() AS \"Value\"").SingleAsync(Ct));
        }

        Assert.Equal([2, 2, 1], pids.GroupBy(pid => pid).Select(group => group.Count()));
    }

    [Fact]
    public async Task A_schema_counts_once_and_those_that_were_opened_since_stay()
    {
        // A raw connection counts ten tables for each.
        await using var app = App(20);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 3 });
        var (first, second) = (await app.AddTenantAsync(row, "t0"), await app.AddTenantAsync(row, "t1"));
        var old = new List<NpgsqlConnection>();
        for (var i = 0; i < 2; i++)
        {
            old.Add(await app.Connections.OpenTenantConnectionAsync(first.Id, Ct));
        }

        var before = (await app.BackendsAsync(row)).Select(backend => backend.Pid).ToList();
        foreach (var tenant in new[] { first, first, second })
        {
            // Each takes both, so both are worn in the end.
            old.ForEach(connection => connection.Dispose());
            old.Clear();
            old.Add(await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct));
            old.Add(await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct));
            Assert.Equal(before, (await app.BackendsAsync(row)).Select(backend => backend.Pid));
        }

        await old[0].DisposeAsync();
        await using var fresh = await app.Connections.OpenTenantConnectionAsync(first.Id, Ct);
        var pid = await RuntimeApp.PidAsync(fresh);
        Assert.DoesNotContain(pid, before);
        await fresh.DisposeAsync();
        await old[1].DisposeAsync();

        await Eventually.EqualAsync(pid, async () => (await app.BackendsAsync(row)).Single().Pid);
    }

    [Theory]
    [InlineData(50_000, 2)]
    [InlineData(1, null)]
    [InlineData(20, 1_000)]
    [InlineData(30, 667)]
    public void By_default_a_thousand_tenants_of_a_small_model_wear_none_out(int tables, int? expected)
    {
        var most = new ConnectionOptions().MaxTablesPerConnection;
        var connection = new PhysicalConnection();
        var visited = 0;
        while (visited < 1_000 && !connection.IsWorn)
        {
            connection.Visit(SchemaName.Parse($"tenant_{visited++}"), tables, most);

            // Once more is nothing more.
            connection.Visit(SchemaName.Parse("tenant_0"), tables, most);
        }

        Assert.Equal(expected, connection.IsWorn ? visited : null);
    }

    [Fact]
    public async Task It_stays_where_there_is_no_limit()
    {
        await using var app = App(0);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var pids = new HashSet<int>();
        for (var i = 0; i < 5; i++)
        {
            var tenant = await app.AddTenantAsync(row, $"t{i}");
            await using var connection = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
            pids.Add(await RuntimeApp.PidAsync(connection));
        }

        Assert.Single(pids);
    }

    private sealed class WideContext(DbContextOptions<WideContext> options) : DbContext(options)
    {
        protected override void OnModelCreating(ModelBuilder modelBuilder)
        {
            modelBuilder.Entity<First>();
            modelBuilder.Entity<Second>();
            modelBuilder.Entity<Third>().ToView("third");
        }
    }

    private sealed record First(int Id);

    private sealed record Second(int Id);

    private sealed record Third(int Id);

    private RuntimeApp App(int most) =>
        new(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:MaxTablesPerConnection"] = $"{most}" }
        );
}
