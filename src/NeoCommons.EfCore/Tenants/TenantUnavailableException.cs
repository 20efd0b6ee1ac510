namespace NeoCommons.EfCore;

/// <summary>
/// The tenant exists and cannot be used now: it is suspended, archived or still being provisioned; or its schema is being
/// migrated, or is older than the application.
/// </summary>
public sealed class TenantUnavailableException : NeoCommonsException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="tenant">The tenant as it stands.</param>
    /// <param name="retryAfter">When it may be worth trying again; null where nobody knows.</param>
    public TenantUnavailableException(Tenant tenant, TimeSpan? retryAfter = null)
        : this(
            tenant,
            retryAfter,
            $"Tenant '{tenant.Slug}' is {tenant.Status.ToString().ToLowerInvariant()}, not active. "
                + tenant.Status switch
                {
                    TenantStatus.Provisioning =>
                        "Wait until it is provisioned, or create it again if that was interrupted.",
                    TenantStatus.Suspended => "Resume it to use it.",
                    _ => "Restore it to use it.",
                }
        ) { }

    private TenantUnavailableException(Tenant tenant, TimeSpan? retryAfter, string message)
        : base(message)
    {
        TenantId = tenant.Id;
        Slug = tenant.Slug;
        Status = tenant.Status;
        RetryAfter = retryAfter;
    }

    internal static TenantUnavailableException Migrating(Tenant tenant, TimeSpan retryAfter) =>
        new(
            tenant,
            retryAfter,
            $"The schema of tenant '{tenant.Slug}' is being migrated. Try again in a moment; to wait longer for it, set "
                + "WaitForMigration(...) in the context's options."
        );

    internal static TenantUnavailableException Behind(
        Tenant tenant,
        string context,
        string required,
        TimeSpan retryAfter
    ) =>
        new(
            tenant,
            retryAfter,
            $"The schema of tenant '{tenant.Slug}' is at migration '{tenant.SchemaVersion}', and {context} needs '{required}'. "
                + "Migrate the tenant with 'tenants migrate' (ITenantMigrator). If the context works without that migration, mark the migration "
                + "with [BackwardCompatibleMigration], or set WhenSchemaIsBehind(SchemaBehind.Allow) in the context's options."
        );

    /// <summary>The tenant's id.</summary>
    public TenantId TenantId { get; }

    /// <summary>The tenant's slug.</summary>
    public string Slug { get; }

    /// <summary>The status; <see cref="TenantStatus.Active"/> where the schema's version stands in the way.</summary>
    public TenantStatus Status { get; }

    /// <summary>When it may be worth trying again; null where nobody knows.</summary>
    public TimeSpan? RetryAfter { get; }
}
