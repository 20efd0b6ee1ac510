namespace NeoCommons.EfCore;

/// <summary>Why a tenant does not get what it asks for, and what to do.</summary>
internal static class QuotaRefusal
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(1);

    public static TenantQuotaExceededException TooManyConnections(TenantLimiter limiter, TimeSpan waited)
    {
        var (tenant, limit) = (limiter.Tenant, limiter.Connections.Permits);
        return new(
            tenant,
            TenantQuota.Connections,
            limit,
            Soon,
            $"Tenant '{tenant.Slug}' had {limit} of {limit} connections taken in this process for {waited.TotalSeconds:0.###} s, and "
                + $"{limiter.Connections.Waiting} more callers wait. Hold connections for a shorter time, or raise the limit: tenants limits "
                + $"{tenant.Slug} --max-connections N, or NeoCommons:Connections:Quotas:TenantConnectionShare. Work that opens a "
                + "second connection of the tenant while it holds one can wait for itself: use one context, or close the first."
        );
    }

    public static TenantQuotaExceededException TooManyWaiting(TenantLimiter limiter)
    {
        var (tenant, limit) = (limiter.Tenant, limiter.MaxWaiting);
        return new(
            tenant,
            TenantQuota.Waiting,
            limit,
            Soon,
            $"{limit} callers wait for a connection of tenant '{tenant.Slug}' in this process already, with "
                + $"{limiter.Connections.Taken} open, and {limit} may. Send fewer requests at once, or raise the limit: tenants limits "
                + $"{tenant.Slug} --max-waiting N, or NeoCommons:Connections:Quotas:TenantMaxWaiting."
        );
    }

    public static TenantQuotaExceededException KeptApart(
        TenantLimiter limiter,
        DatabaseConnection row,
        TimeSpan pause
    ) =>
        new(
            limiter.Tenant,
            TenantQuota.Connections,
            Math.Min(limiter.Connections.Permits, row.MaxPoolSize),
            pause,
            $"Tenant '{limiter.Tenant.Slug}' breaks one connection of '{row.Name}' after the other, and opens none for {pause.TotalSeconds:0.###} s, "
                + $"which is longer than a caller waits (pool_timeout_seconds {row.PoolTimeout.TotalSeconds:0}). Look for SQL of it that raises errors of class 53, 58, "
                + "F0 or XX (log 1010)."
        );

    public static TenantQuotaExceededException TooManyCommands(Tenant tenant, int limit, TimeSpan retryAfter) =>
        new(
            tenant,
            TenantQuota.CommandsPerSecond,
            limit,
            retryAfter,
            $"Tenant '{tenant.Slug}' has sent the {limit} commands that it may send in a second in this process. Try again in "
                + $"{retryAfter.TotalSeconds:0.###} s, send fewer commands for each request, or raise the limit: tenants limits "
                + $"{tenant.Slug} --commands-per-second N, or NeoCommons:Connections:Quotas:TenantCommandsPerSecond."
        );

    /// <summary>The application opens a connection itself, where nobody can wait.</summary>
    public static TenantQuotaExceededException NoConnectionAtOnce(TenantLimiter limiter)
    {
        var (tenant, limit) = (limiter.Tenant, limiter.Connections.Permits);
        return new(
            tenant,
            TenantQuota.Connections,
            limit,
            Soon,
            $"Tenant '{tenant.Slug}' has {limiter.Connections.Taken} of {limit} connections open in this process. A connection that the "
                + "application opens itself does not wait for one: let the context open it, with Database.OpenConnectionAsync(), or "
                + $"raise the limit: tenants limits {tenant.Slug} --max-connections N."
        );
    }
}
