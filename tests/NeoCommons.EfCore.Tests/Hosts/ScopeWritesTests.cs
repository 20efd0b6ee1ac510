using System.Transactions;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>What was written in a <c>TransactionScope</c> is committed when that ends, whenever the lease does.</summary>
public sealed class ScopeWritesTests
{
    private static readonly TenantId Tenant = new(Guid.NewGuid());

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_lease_that_ends_between_the_completion_of_its_scope_and_its_end_has_written(bool commits)
    {
        using var source = HostsAlone.New();
        var writes = source.Hosts!.Writes;
        var before = TimeProvider.System.GetTimestamp();
        writes.Begin(Tenant);
        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            if (commits)
            {
                scope.Complete();
            }

            source.Hosts.EndWrite(Tenant);
            Assert.True(writes.IsUnsettled(Tenant, TimeProvider.System.GetTimestamp()));
        }

        // And no later lease makes that earlier.
        writes.Begin(Tenant);
        source.Hosts.EndWrite(Tenant);
        Assert.True(writes.IsUnsettled(Tenant, before));
        Assert.Equal(
            commits,
            writes.IsUnsettled(Tenant, TimeProvider.System.GetTimestamp() + Ticks(TimeSpan.FromSeconds(5)))
        );
        Assert.False(writes.IsUnsettled(Tenant, TimeProvider.System.GetTimestamp() + Ticks(TimeSpan.FromHours(1))));
    }

    [Fact]
    public void A_look_that_begins_before_a_completed_scope_has_ended_settles_nothing()
    {
        using var source = HostsAlone.New();
        var writes = source.Hosts!.Writes;
        writes.Begin(Tenant);
        using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
        scope.Complete();
        source.Hosts.EndWrite(Tenant);

        // The commit takes its time.
        Assert.True(writes.IsUnsettled(Tenant, TimeProvider.System.GetTimestamp() + Ticks(TimeSpan.FromSeconds(5))));
    }

    private static long Ticks(TimeSpan time) => (long)(time.TotalSeconds * TimeProvider.System.TimestampFrequency);
}
