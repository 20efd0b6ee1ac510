namespace NeoCommons.EfCore;

/// <summary>One number of a pool: whether callers get connections at all, times how well.</summary>
/// <remarks>
/// A pool that gives nobody a connection is at 0, whatever else is well. The limits are the targets that the library sets
/// itself: connections in 10 ms, four of five without a login.
/// </remarks>
internal static class PoolHealthScore
{
    private const double FullFrom = 0.8;
    private const double SlowFrom = 10;
    private const double SlowTo = 100;
    private const double Efficient = 0.8;

    // A pool that begins opens its connections first, and that is no flaw.
    private const int FewAcquisitions = 20;

    public static int Of(PoolMetrics pool)
    {
        var callers = pool.Acquisitions + pool.FailedAcquisitions;
        var served = callers == 0 ? 1 : (double)pool.Acquisitions / callers;
        var full = Share(pool.Saturation, FullFrom, 1);
        var slow = Share(pool.AcquisitionTime?.AverageMilliseconds ?? 0, SlowFrom, SlowTo);
        var failed = 1 - (pool.QuerySuccessRate ?? 1);
        var wasteful =
            pool.Acquisitions < FewAcquisitions ? 0 : Share(Efficient - (pool.PoolEfficiency ?? 1), 0, Efficient);
        return (int)Math.Round(100 * served * (1 - (0.3 * full) - (0.3 * slow) - (0.2 * failed) - (0.2 * wasteful)));
    }

    private static double Share(double value, double from, double to) => Math.Clamp((value - from) / (to - from), 0, 1);
}
