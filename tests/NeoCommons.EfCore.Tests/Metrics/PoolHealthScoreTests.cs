namespace NeoCommons.EfCore.Tests.Metrics;

/// <summary>The formula of docs/metrics.md, term by term.</summary>
public sealed class PoolHealthScoreTests
{
    private static readonly PoolMetrics Well = new()
    {
        ConnectionName = "db",
        Max = 10,
        Active = 8,
        Acquisitions = 100,
        PoolEfficiency = 0.8,
        AcquisitionTime = new() { AverageMilliseconds = 10 },
        Commands = 100,
    };

    [Fact]
    public void A_pool_at_its_targets_and_one_that_was_not_used_are_at_100()
    {
        Assert.Equal(100, Well.HealthScore);
        Assert.Equal(100, new PoolMetrics { ConnectionName = "db" }.HealthScore);
    }

    [Fact]
    public void Each_flaw_takes_its_share()
    {
        Assert.Equal(85, (Well with { Active = 9 }).HealthScore);
        Assert.Equal(70, (Well with { Active = 10 }).HealthScore);
        Assert.Equal(85, (Well with { AcquisitionTime = new() { AverageMilliseconds = 55 } }).HealthScore);
        Assert.Equal(70, (Well with { AcquisitionTime = new() { AverageMilliseconds = 1_000 } }).HealthScore);
        Assert.Equal(90, (Well with { RecentFailures = 50 }).HealthScore);
        Assert.Equal(90, (Well with { PoolEfficiency = 0.4 }).HealthScore);
        Assert.Equal(80, (Well with { PoolEfficiency = 0 }).HealthScore);
        Assert.Equal(100, (Well with { PoolEfficiency = 0, Acquisitions = 19 }).HealthScore);
        Assert.Equal(50, (Well with { FailedAcquisitions = 100 }).HealthScore);
    }

    [Fact]
    public void What_serves_nobody_is_at_0() =>
        Assert.Equal(0, (Well with { Acquisitions = 0, FailedAcquisitions = 1 }).HealthScore);
}
