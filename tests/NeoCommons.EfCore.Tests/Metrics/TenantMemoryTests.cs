using System.Runtime.CompilerServices;
using Microsoft.Extensions.Time.Testing;

namespace NeoCommons.EfCore.Tests.Metrics;

/// <summary>All that a pool keeps of a tenant, used in each slice of the window, and the tables that hold it.</summary>
/// <remarks>While no other test runs, since the heap is everybody's.</remarks>
[Collection(Alone)]
public sealed class TenantMemoryTests
{
    private const string Alone = "Memory of tenants";
    private const int Tenants = 10_000;
    private const int Rounds = 5;

    private static readonly ConnectionOptions Options = new() { MetricsWindow = TimeSpan.FromMinutes(1) };

    private static readonly DatabaseConnection Row = new()
    {
        Name = "db",
        Host = "localhost",
        Database = "db",
        Username = "app",
        Password = Secret.FromText("not used"),
    };

    [Fact]
    public void Ten_thousand_tenants_in_use_take_less_than_ten_mebibytes()
    {
        // The median: what earlier tests have left may go meanwhile.
        var size = Enumerable.Range(0, Rounds).Select(_ => Measure()).Order().ElementAt(Rounds / 2);
        TestContext.Current.TestOutputHelper?.WriteLine($"{size / Tenants} bytes for each");
        Assert.InRange(size, 1, 10 * 1024 * 1024);
    }

    // A method of its own: what a round has made goes with its frame, and not while the next one is measured.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static long Measure()
    {
        var tenants = NewTenants();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var time = new FakeTimeProvider();
        var paths = new SearchPath(Options, new SchemaNaming());
        using var quotas = new TenantQuotas(Options, time);
        Use(tenants, quotas, paths, time);
        var size = GC.GetTotalMemory(forceFullCollection: true) - before;
        Assert.Equal(Tenants, quotas.Count);
        GC.KeepAlive(paths);
        GC.KeepAlive(tenants);
        return size;
    }

    /// <summary>What the tables are copied from when they grow counts too.</summary>
    [Fact]
    public void A_tenant_in_use_allocates_less_than_one_and_a_half_kilobytes()
    {
        var tenants = NewTenants();
        var time = new FakeTimeProvider();
        var paths = new SearchPath(Options, new SchemaNaming());
        using var quotas = new TenantQuotas(Options, time);
        var before = GC.GetAllocatedBytesForCurrentThread();

        Use(tenants, quotas, paths, time);

        Assert.InRange((GC.GetAllocatedBytesForCurrentThread() - before) / Tenants, 1, 1_536);
    }

    private static List<Tenant> NewTenants() =>
        [
            .. Enumerable
                .Range(0, Tenants)
                .Select(i => new Tenant
                {
                    Id = new TenantId(Guid.NewGuid()),
                    Slug = $"tenant-{i}",
                    Name = "A tenant",
                    Schema = SchemaName.Parse($"tenant_{i}"),
                    ConnectionName = Row.Name,
                }),
        ];

    private static void Use(List<Tenant> tenants, TenantQuotas quotas, SearchPath paths, FakeTimeProvider time)
    {
        for (var slice = 0; slice < SlidingWindowSlice.Count; slice++)
        {
            foreach (var tenant in tenants)
            {
                var limiter = quotas.Enter(tenant, Row);
                Assert.True(limiter.Connections.TryTake());
                limiter.CountCommand(null);
                limiter.Activity.Returned(limiter.Activity.Acquired());
                limiter.Connections.Release();
                limiter.Leave();
                _ = paths.To(tenant).Statement(inTransaction: false)!.Message;
            }

            time.Advance(TimeSpan.FromSeconds(9));
        }
    }

    [CollectionDefinition(Alone, DisableParallelization = true)]
    public sealed class AloneCollection;
}
