using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>Whichever host serves, a context sees its tenant and nobody else, and writers are at the primary.</summary>
public sealed class HostIsolationTests(Pair pair) : IClassFixture<Pair>
{
    private const int Workers = 6;
    private const int Rounds = 75;

    private readonly ConcurrentQueue<string> _wrong = [];
    private int _atStandby;
    private int _readAtPrimary;
    private int _failed;
    private int _nextId = 1000;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(SchemaBinding.SearchPath)]
    [InlineData(SchemaBinding.QualifiedNames)]
    public async Task Contexts_from_a_pool_and_new_ones_meet_their_tenant_on_both_hosts(SchemaBinding binding)
    {
        await using var app = pair.NewApp(contexts: b =>
            b.AddTenantDbContext<ItemsContext>(o => o.UseSchemaBinding(binding))
                .AddPooledTenantDbContext<PooledItemsContext>(o => o.UseSchemaBinding(binding), poolSize: 2)
        );
        var row = await pair.AddAsync(app, r => r with { MaxPoolSize = 4 });
        var tenants = new List<Tenant>();
        for (var i = 0; i < 5; i++)
        {
            tenants.Add(await app.AddTenantAsync(row, $"tenant{i}"));
        }

        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, tenants[0]);
        await Task.WhenAll(
            Enumerable.Range(0, Workers).Select(w => Task.Run(() => WorkAsync(app, row, tenants, w), Ct))
        );

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{_atStandby} reads at the standby, {_readAtPrimary} at the primary, {_failed} failed"
        );
        Assert.Empty(_wrong);
        Assert.True(_atStandby > 0 && _readAtPrimary > 0 && _failed < Workers * Rounds / 2);
        foreach (var tenant in tenants)
        {
            Assert.Equal(
                0L,
                await app.DirectAsync(
                    row,
                    $"SELECT count(*) FROM {tenant.Schema.Quoted}.items WHERE owner <> '{tenant.Slug}'"
                )
            );
        }
    }

    private async Task WorkAsync(RuntimeApp app, DatabaseConnection row, List<Tenant> tenants, int worker)
    {
        var pooled = app.Services.GetRequiredService<ITenantDbContextFactory<PooledItemsContext>>();
        var random = new Random(worker);
        for (var round = 0; round < Rounds && _wrong.IsEmpty; round++)
        {
            // The last two never write, so that their reads stay at the standby.
            var tenant = tenants[random.Next(tenants.Count)];
            var writes = random.Next(3) == 0 && tenants.IndexOf(tenant) < 3;
            try
            {
                if (random.Next(2) == 0)
                {
                    await UseAsync(pooled, c => c.Items, tenant, writes);
                }
                else
                {
                    await UseAsync(app.Contexts, c => c.Items, tenant, writes);
                }
            }
            catch (Exception e) when (!Ct.IsCancellationRequested && e is not Xunit.Sdk.XunitException)
            {
                // A session was killed.
                Interlocked.Increment(ref _failed);
            }

            if (worker == 0 && round % 25 == 24)
            {
                await Pair.KillAsync(round % 50 == 49 ? pair.Primary : pair.Standby, row.Database);
            }
        }
    }

    private async Task UseAsync<TContext>(
        ITenantDbContextFactory<TContext> contexts,
        Func<TContext, DbSet<Item>> items,
        Tenant tenant,
        bool writes
    )
        where TContext : DbContext
    {
        await using var context = writes
            ? await contexts.CreateDbContextAsync(tenant.Id, Ct)
            : await contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);
        var found = await items(context).AsNoTracking().Select(i => i.Owner).Distinct().ToListAsync(Ct);
        if (found is not [var owner] || owner != tenant.Slug)
        {
            _wrong.Enqueue($"{tenant.Slug} saw {string.Join(", ", found)}");
        }

        var isStandby = await ReadOnlyContextTests.IsStandbyAsync(context);
        if (writes)
        {
            if (isStandby)
            {
                _wrong.Enqueue($"A writer of {tenant.Slug} is at the standby.");
            }

            items(context).Add(new Item { Id = Interlocked.Increment(ref _nextId), Owner = tenant.Slug });
            await context.SaveChangesAsync(Ct);
        }
        else
        {
            Interlocked.Increment(ref isStandby ? ref _atStandby : ref _readAtPrimary);
        }
    }
}
