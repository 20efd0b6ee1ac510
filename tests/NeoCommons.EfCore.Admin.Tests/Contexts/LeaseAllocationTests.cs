using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>What a lease costs in memory, against EF's own pooled factory on one fixed schema.</summary>
public sealed class LeaseAllocationTests(TestServers servers)
{
    private const int Leases = 1_000;

    private const int Budget = 512;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(SessionReset.Always)]
    [InlineData(SessionReset.WhenUsed)]
    public async Task A_lease_allocates_little_more_than_one_of_EFs_own_pool(SessionReset reset)
    {
        await using var app = await TwoTenants.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?> { ["NeoCommons:Connections:SessionReset"] = reset.ToString() },
            configure: b => b.AddPooledTenantDbContext<ShopDbContext>()
        );
        var acme = (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!.Id;
        var database = (string)
            (
                await app.AdminAsync(
                    "SELECT database_name FROM admin.database_connections WHERE connection_name = 'db1'"
                )
            )!;
        await using var source = NpgsqlDataSource.Create(
            servers.Postgres.GetConnectionString(database) + ";Search Path=tenant_acme"
        );
        var plain = new PooledDbContextFactory<ShopDbContext>(
            new DbContextOptionsBuilder<ShopDbContext>().UseNpgsql(source).Options
        );

        // From then on the tenant is in memory, and a context is made synchronously.
        await using (await app.Shop.CreateDbContextAsync(acme, Ct)) { }

        var ofEf = Measure(() => plain.CreateDbContext());
        var ours = Measure(() =>
        {
            var creation = app.Shop.CreateDbContextAsync(acme, Ct);
            Assert.True(creation.IsCompletedSuccessfully);
            return creation.Result;
        });

        TestContext.Current.TestOutputHelper?.WriteLine($"{reset}: EF {ofEf} bytes, a tenant's {ours} bytes a lease");
        Assert.InRange(ours - ofEf, long.MinValue, Budget);
    }

    // The least of many: a socket that has to wait for its answer allocates, and how often that is depends on the machine.
    private static long Measure(Func<ShopDbContext> create)
    {
        for (var i = 0; i < Leases; i++)
        {
            // The first ones compile and fill caches.
            Read();
        }

        var least = long.MaxValue;
        for (var i = 0; i < Leases; i++)
        {
            // Synchronous, so that all of it happens on this thread.
            var before = GC.GetAllocatedBytesForCurrentThread();
            Read();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return least;

        void Read()
        {
            using var shop = create();
            if (shop.Products.AsNoTracking().Single().Name != "acme")
            {
                throw new InvalidOperationException("The wrong tenant.");
            }
        }
    }
}
