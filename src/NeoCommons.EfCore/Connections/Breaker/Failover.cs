namespace NeoCommons.EfCore;

/// <summary>Uses the connection that a row names for the time in which its own is out of order.</summary>
/// <remarks>
/// A lease stays where it was begun. Only where the row's server is away: one that is slow, or has no slot left, goes on to be
/// written by those who have a session.
/// </remarks>
internal static class Failover
{
    /// <summary>Begins a lease for work of the application.</summary>
    /// <param name="sources">The pools.</param>
    /// <param name="name">The connection.</param>
    /// <param name="writes">Whether the work may write: then the row must say that this is right.</param>
    /// <param name="ct">Cancels.</param>
    public static async ValueTask<PooledDataSource> AcquireForWorkAsync(
        this TenantDataSources sources,
        string name,
        bool writes,
        CancellationToken ct
    )
    {
        var source = await sources.AcquireAsync(name, ct).ConfigureAwait(false);
        if (
            !IsAway(source)
            || source.Row.FailoverConnection is not { } failover
            || (writes && !source.Row.FailoverWrites)
        )
        {
            return source;
        }

        try
        {
            var other = await sources.AcquireAsync(failover, ct).ConfigureAwait(false);
            if (other.RefusesAll)
            {
                other.Release();
                return source;
            }

            source.Release();
            NoteFailover(source, failover);
            return other;
        }
        catch (NeoCommonsException)
        {
            // It is not to be had either: the caller is told of the one that he asked for.
            return source;
        }
        catch
        {
            source.Release();
            throw;
        }
    }

    // Of several servers all must be: their breaker is never asked.
    private static bool IsAway(PooledDataSource source) => source.Hosts?.Outage.IsOn ?? source.Breaker.IsServerAway;

    private static void NoteFailover(PooledDataSource source, string failover)
    {
        if (source.Hosts is { } hosts)
        {
            hosts.Outage.NoteFailover(failover);
        }
        else
        {
            source.Breaker.NoteFailover(failover);
        }
    }
}
