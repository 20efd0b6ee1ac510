using System.Data;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>What the end of a use says of the server, of its tenant, and of the session that goes back to the pool.</summary>
internal static class UseEnd
{
    public static void Note(
        NpgsqlConnection connection,
        PhysicalConnection physical,
        PooledDataSource source,
        TenantLimiter? limiter,
        TimeProvider time
    )
    {
        var isBroken = connection.FullState == ConnectionState.Broken;
        var isExpected = isBroken && limiter is not null && source.Quarantine.Broke(limiter, physical.Since);
        if (isBroken && !isExpected && source.Hosts is null)
        {
            source.Breaker.InDoubt();
        }
        else if (!isBroken && source.Row.Pooler != PoolerMode.None && !source.Breaker.IsOpen)
        {
            // That a pooler has let it in was no evidence; this is, as a rule. The driver does not tell whether anything was
            // asked, so it is not enough where callers are refused: then the server itself has to answer.
            source.Breaker.Succeeded();
        }

        if (physical.IsWorn)
        {
            source.Renewal.Begin(physical.Since);
        }

        // Within a TransactionScope the driver leaves its reset out.
        if (physical.Scope is null && AmbientScope.IsPresent)
        {
            // What was set before the scope began stays when it ends.
            physical.NeedsReset = true;
            source.ClearIfHandedOut();
        }
        else if (!source.OwnsReset && physical.Scope is null)
        {
            physical.HasBeenReset(isBound: false);
        }

        if (physical.Session is { } session && !isBroken)
        {
            session.Host.HeardAt = time.GetTimestamp();
        }

        source.Figures?.Returned(physical.SinceUse(time));
        physical.MarkUsed(time);
    }
}
