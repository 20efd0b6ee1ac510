using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>What a lease costs in memory where its caller awaits it: of the whole process, so no other test may run beside it.</summary>
[Collection(Alone)]
public sealed class AsyncLeaseAllocationTests(TestServers servers)
{
    private const string Alone = "Nothing else allocates";

    // An await that has to wait keeps its state in memory, of each method on the way: 11 to 114 were measured.
    private const int Budget = 256;

    private const int Leases = 100;
    private const int Batches = 5;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("point read", SchemaBinding.SearchPath)]
    [InlineData("point read", SchemaBinding.QualifiedNames)]
    [InlineData("insert of 1", SchemaBinding.SearchPath)]
    [InlineData("insert of 1", SchemaBinding.QualifiedNames)]
    public async Task A_lease_that_is_awaited_allocates_little_more_than_one_of_EFs_own_pool(
        string operation,
        SchemaBinding binding
    )
    {
        await using var app = await AllocationApp.StartAsync(servers.Postgres, binding);
        var acme = await app.AcmeAsync();
        Func<ShopDbContext, Task> use = operation == "point read" ? ReadAsync : InsertAsync;

        // The least of many batches, in turn: other threads of the process allocate too, and code that is not optimised yet does.
        var (ofEf, ours) = (long.MaxValue, long.MaxValue);
        for (var i = 0; i < Batches || (ours - ofEf > Budget && i < 20 * Batches); i++)
        {
            ofEf = Math.Min(ofEf, await MeasureAsync(() => ValueTask.FromResult(app.Plain())));
            ours = Math.Min(ours, await MeasureAsync(() => app.CreateAsync(acme)));
        }

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{operation}, {binding}: EF {ofEf} bytes, a tenant's {ours} bytes a lease, {ours - ofEf} more, at most {Budget}"
        );
        Assert.InRange(ours - ofEf, long.MinValue, Budget);

        async Task<long> MeasureAsync(Func<ValueTask<ShopDbContext>> create)
        {
            var before = GC.GetTotalAllocatedBytes(precise: true);
            for (var i = 0; i < Leases; i++)
            {
                await using var shop = await create();
                await use(shop);
            }

            return (GC.GetTotalAllocatedBytes(precise: true) - before) / Leases;
        }
    }

    private static async Task ReadAsync(ShopDbContext shop) =>
        Assert.NotNull(await shop.Products.AsNoTracking().FirstAsync(p => p.Id == 7, Ct));

    private static async Task InsertAsync(ShopDbContext shop)
    {
        shop.Orders.Add(new Order { Customer = "somebody" });
        await shop.SaveChangesAsync(Ct);
    }

    [CollectionDefinition(Alone, DisableParallelization = true)]
    public sealed class AloneCollection;
}
