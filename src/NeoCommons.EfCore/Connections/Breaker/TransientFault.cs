using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Which faults pass by themselves.</summary>
internal static class TransientFault
{
    /// <summary>Whether the same work may succeed a moment later.</summary>
    public static bool Is(Exception? e) =>
        e switch
        {
            // Another session works.
            PostgresException ended when EndedSession.Is(ended) => true,
            PostgresException pooler when PoolerAnswer.Passes(pooler) => true,
            NpgsqlException npgsql => npgsql.IsTransient,
            ConnectionUnavailableException unavailable => unavailable.Reason
                is ConnectionUnavailableReason.CircuitOpen
                    or ConnectionUnavailableReason.Unreachable
                    or ConnectionUnavailableReason.NoHost
                    or ConnectionUnavailableReason.PoolExhausted
                    or ConnectionUnavailableReason.Replaced
                || (unavailable.Reason == ConnectionUnavailableReason.Refused && Is(unavailable.InnerException)),
            TenantUnavailableException { RetryAfter: not null } or TenantQuotaExceededException => true,
            _ => false,
        };

    /// <summary>How long whoever threw it says to wait; null where he does not say.</summary>
    public static TimeSpan? RetryAfter(Exception? e) =>
        e switch
        {
            // Of hosts more may be known at any moment.
            ConnectionUnavailableException { Reason: not ConnectionUnavailableReason.NoHost } unavailable =>
                unavailable.RetryAfter,
            TenantUnavailableException tenant => tenant.RetryAfter,
            TenantQuotaExceededException quota => quota.RetryAfter,
            _ => null,
        };
}
