using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Tests.Connections;
using NeoCommons.EfCore.Tests.Hosts;

namespace NeoCommons.EfCore.Tests.Contexts;

/// <summary>More contexts at a time than their pool keeps: each ends its lease, and is its tenant's.</summary>
public sealed class FullContextPoolTests(TestServers servers)
{
    private const int Kept = 2;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Each_of_more_contexts_than_are_kept_gives_its_lease_back(bool async)
    {
        await using var app = Start();
        var row = await app.AddDatabaseAsync();
        Tenant[] tenants = [await app.AddTenantAsync(row, "acme"), await app.AddTenantAsync(row, "bolt")];
        var source = await app.AcquireAsync(row.Name);
        var before = source.Life.Leases;
        var contexts = app.Services.GetRequiredService<ITenantDbContextFactory<PooledItemsContext>>();
        var first = new HashSet<object>(ReferenceEqualityComparer.Instance);
        for (var round = 0; round < 3; round++)
        {
            var open = new List<PooledItemsContext>();
            for (var i = 0; i < Kept + 3; i++)
            {
                var tenant = tenants[(i + round) % 2];
                open.Add(await contexts.CreateDbContextAsync(tenant.Id, Ct));
                Assert.Equal(tenant.Slug, (await open[^1].Items.AsNoTracking().SingleAsync(Ct)).Owner);
            }

            Assert.Equal(before + open.Count, source.Life.Leases);
            Assert.Equal(round == 0 ? 0 : Kept, open.Count(first.Contains));
            foreach (var context in open)
            {
                first.Add(context);
                if (async)
                {
                    await context.DisposeAsync();
                }
                else
                {
                    context.Dispose();
                }
            }

            Assert.Equal(before, source.Life.Leases);
        }
    }

    [Fact]
    public async Task Many_callers_of_few_contexts_leave_no_lease()
    {
        await using var app = Start();
        var row = await app.AddDatabaseAsync(r => r with { MaxPoolSize = 4 });
        var tenant = await app.AddTenantAsync(row, "acme");
        var source = await app.AcquireAsync(row.Name);
        var before = source.Life.Leases;
        var contexts = app.Services.GetRequiredService<ITenantDbContextFactory<PooledItemsContext>>();
        await Task.WhenAll(
            Enumerable
                .Range(0, 8)
                .Select(_ =>
                    Task.Run(
                        async () =>
                        {
                            for (var i = 0; i < 50; i++)
                            {
                                await using var context = await contexts.CreateDbContextAsync(tenant.Id, Ct);
                                Assert.Equal(1, await context.Items.CountAsync(Ct));
                            }
                        },
                        Ct
                    )
                )
        );

        Assert.Equal(before, source.Life.Leases);

        // EF's pool gets a context back a moment after its place is free, so that it may come to have one for each caller.
        await AssertKeptAsync(contexts, tenant, more: 8);
    }

    [Fact]
    public async Task A_context_that_cannot_be_made_takes_no_place()
    {
        await using var app = Start();
        var row = await app.AddDatabaseAsync();
        var pooled = await app.AddDatabaseAsync(r => r with { Pooler = PoolerMode.Transaction });
        var tenant = await app.AddTenantAsync(row, "acme");
        var other = await app.AddTenantAsync(pooled, "bolt");
        var contexts = app.Services.GetRequiredService<ITenantDbContextFactory<PooledItemsContext>>();
        for (var i = 0; i < Kept + 1; i++)
        {
            // Nothing binds it behind such a pooler.
            await Assert.ThrowsAsync<TenantIsolationException>(async () =>
                await contexts.CreateDbContextAsync(other.Id, Ct)
            );
        }

        await AssertKeptAsync(contexts, tenant);
    }

    private static async Task AssertKeptAsync(
        ITenantDbContextFactory<PooledItemsContext> contexts,
        Tenant tenant,
        int more = 0
    )
    {
        var seen = new HashSet<object>(ReferenceEqualityComparer.Instance);
        for (var round = 0; round < 10; round++)
        {
            seen.UnionWith(await TakeAsync());
        }

        Assert.InRange(seen.Count, Kept, Kept + more);

        async Task<IReadOnlyList<object>> TakeAsync()
        {
            var open = new List<PooledItemsContext>();
            for (var i = 0; i < Kept; i++)
            {
                open.Add(await contexts.CreateDbContextAsync(tenant.Id, Ct));
            }

            foreach (var context in open)
            {
                await context.DisposeAsync();
            }

            return open;
        }
    }

    private RuntimeApp Start() =>
        new(
            servers.Postgres,
            contexts: b =>
                b.AddTenantDbContext<ItemsContext>().AddPooledTenantDbContext<PooledItemsContext>(poolSize: Kept)
        );
}
