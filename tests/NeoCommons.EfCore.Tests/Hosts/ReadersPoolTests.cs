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
}
