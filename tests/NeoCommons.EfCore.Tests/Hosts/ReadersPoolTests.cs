using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>Sessions that only read have a pool of the driver's own, and an idle one of it serves nobody else.</summary>
public sealed class ReadersPoolTests(Pair pair) : IClassFixture<Pair>
{
    private const int Budget = 3;

    // The session that looks at the host.
    private const int Watching = 1;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Where_the_primary_serves_reads_too_its_budget_bounds_both_together()
    {
        await using var app = pair.NewApp(
            new Dictionary<string, string?> { ["NeoCommons:Connections:ServerBudget"] = $"{Budget}" }
        );
        var row = await pair.AddAsync(app, r => r with { ReplicaHosts = ReplicaHosts.Parse("127.0.0.1:1") });
        var tenant = await app.AddTenantAsync(row, "acme");

        for (var round = 0; round < 3; round++)
        {
            await HoldAsync(() => app.Contexts.CreateDbContextAsync(tenant.Id, Ct));
            await HoldAsync(() => app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct));
        }

        async Task HoldAsync(Func<ValueTask<ItemsContext>> make)
        {
            var held = new List<ItemsContext>();
            for (var i = 0; i < Budget; i++)
            {
                held.Add(await make());
                await held[i].Database.OpenConnectionAsync(Ct);
            }

            await Eventually.EqualAsync(Budget + Watching, () => app.CountBackendsAsync(row));
            foreach (var one in held)
            {
                await one.DisposeAsync();
            }
        }
    }

    [Fact]
    public async Task A_look_at_a_connection_that_only_reads_are_idle_of_leaves_none_that_writes()
    {
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        await pair.CatchUpAsync();
        await using (var reader = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct))
        {
            await reader.Items.ToListAsync(Ct);
        }

        // The driver may have asked the primary first.
        var before = (await app.CountBackendsAsync(row), app.Connections.GetPoolMetrics(row.Name).Idle);
        var look = Assert.Single(await app.Connections.CheckAsync(row.Name, Ct)).Value;

        Assert.Equal(ConnectionHealthStatus.Healthy, look.Status);
        await Eventually.EqualAsync(
            before,
            async () => (await app.CountBackendsAsync(row), app.Connections.GetPoolMetrics(row.Name).Idle)
        );
    }

    [Fact]
    public async Task Readers_at_a_standby_cost_the_primarys_writers_nothing()
    {
        await using var app = pair.NewApp(
            new Dictionary<string, string?>
            {
                ["NeoCommons:Connections:ServerBudget"] = $"{Budget}",
                // What the writers ask is raw SQL, which may write.
                ["NeoCommons:Connections:ReadYourWrites"] = "false",
            }
        );
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
        var writers = await HoldAsync(() => app.Contexts.CreateDbContextAsync(tenant.Id, Ct));

        for (var round = 0; round < 3; round++)
        {
            await HoldAsync(() => app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct));
            Assert.Subset((await app.BackendsAsync(row)).Select(b => b.Pid).ToHashSet(), writers);
        }

        async Task<HashSet<int>> HoldAsync(Func<ValueTask<ItemsContext>> make)
        {
            var held = new List<ItemsContext>();
            var pids = new HashSet<int>();
            for (var i = 0; i < Budget; i++)
            {
                held.Add(await make());
                await held[i].Database.OpenConnectionAsync(Ct);
                pids.Add(
                    await held[i].Database.SqlQueryRaw<int>("SELECT pg_backend_pid() AS \"Value\"").SingleAsync(Ct)
                );
            }

            foreach (var one in held)
            {
                await one.DisposeAsync();
            }

            return pids;
        }
    }
}
