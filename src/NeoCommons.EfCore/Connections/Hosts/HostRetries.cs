using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Has an open ask hosts once more that the driver remembers as useless, and may not be.</summary>
/// <remarks>
/// A session that was killed has hidden its host, or an error that the driver takes for the server's: a tenant may raise one in a
/// loop, also while another one logs in, and the driver compares its memory after the login too. Nobody is told the password again
/// who has refused it, and where it was of no use it is not done for an interval.
/// </remarks>
internal sealed class HostRetries(HostPools pools, PooledDataSource source, TimeProvider time)
{
    private const int Most = 8;

    private long _uselessAt;

    /// <summary>Whether to open once more; then the driver has forgotten what it remembers.</summary>
    /// <param name="e">What it has thrown.</param>
    /// <param name="before">How many times that was done for this open.</param>
    public bool Begin(NpgsqlException e, int before)
    {
        var uselessAt = Volatile.Read(ref _uselessAt);
        if (
            !(
                HostFailure.MayHaveUntried(e)
                || (HostFailure.WereRefusedBefore(e) && pools.RefusalOfAll(source.Row) is null)
            )
            || before == Most
            || (before > 0 && (HostFailure.AreAway(e) || !pools.Guard.States.HasPrimary))
            || (uselessAt != 0 && time.GetElapsedTime(uselessAt) < HostWatch.Interval)
        )
        {
            return false;
        }

        pools.ForgetStates();
        return true;
    }

    /// <summary>Notes that it was of no use: no host serves.</summary>
    public void EndInVain() => Volatile.Write(ref _uselessAt, time.GetTimestamp());
}
