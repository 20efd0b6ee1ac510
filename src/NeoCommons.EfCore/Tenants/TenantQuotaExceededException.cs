namespace NeoCommons.EfCore;

/// <summary>A tenant has reached a limit of its own. Nothing was executed; other tenants are not affected.</summary>
public sealed class TenantQuotaExceededException : NeoCommonsException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="quota">Which limit.</param>
    /// <param name="limit">Its value.</param>
    /// <param name="retryAfter">When it may be worth trying again.</param>
    /// <param name="message">How things stand, and what to do.</param>
    public TenantQuotaExceededException(
        Tenant tenant,
        TenantQuota quota,
        int limit,
        TimeSpan retryAfter,
        string message
    )
        : base(message)
    {
        ArgumentNullException.ThrowIfNull(tenant);
        TenantId = tenant.Id;
        Slug = tenant.Slug;
        Quota = quota;
        Limit = limit;
        RetryAfter = retryAfter;
    }

    /// <summary>The tenant's id.</summary>
    public TenantId TenantId { get; }

    /// <summary>The tenant's slug.</summary>
    public string Slug { get; }

    /// <summary>Which limit was reached.</summary>
    public TenantQuota Quota { get; }

    /// <summary>The value of the limit.</summary>
    public int Limit { get; }

    /// <summary>When it may be worth trying again.</summary>
    public TimeSpan RetryAfter { get; }
}
