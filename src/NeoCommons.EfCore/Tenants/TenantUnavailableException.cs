namespace NeoCommons.EfCore;

/// <summary>The tenant exists and cannot be used now: it is suspended, archived, or still being provisioned.</summary>
public sealed class TenantUnavailableException : NeoCommonsException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="tenant">The tenant as it stands.</param>
    /// <param name="retryAfter">When it may be worth trying again; null where nobody knows.</param>
    public TenantUnavailableException(Tenant tenant, TimeSpan? retryAfter = null)
        : base(
            $"Tenant '{tenant.Slug}' is {tenant.Status.ToString().ToLowerInvariant()}, not active. "
                + tenant.Status switch
                {
                    TenantStatus.Provisioning =>
                        "Wait until it is provisioned, or create it again if that was interrupted.",
                    TenantStatus.Suspended => "Resume it to use it.",
                    _ => "Restore it to use it.",
                }
        )
    {
        TenantId = tenant.Id;
        Slug = tenant.Slug;
        Status = tenant.Status;
        RetryAfter = retryAfter;
    }

    /// <summary>The tenant's id.</summary>
    public TenantId TenantId { get; }

    /// <summary>The tenant's slug.</summary>
    public string Slug { get; }

    /// <summary>The status that stands in the way.</summary>
    public TenantStatus Status { get; }

    /// <summary>When it may be worth trying again; null where nobody knows.</summary>
    public TimeSpan? RetryAfter { get; }
}
