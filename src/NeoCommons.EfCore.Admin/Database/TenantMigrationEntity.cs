namespace NeoCommons.EfCore.Admin;

/// <summary>A row of <c>admin.tenant_migrations</c>: one tenant in one run.</summary>
public class TenantMigrationEntity
{
    /// <summary>The run.</summary>
    public Guid RunId { get; set; }

    /// <summary>The tenant.</summary>
    public Guid TenantId { get; set; }

    /// <summary>The tenant.</summary>
    public TenantEntity? Tenant { get; set; }

    /// <summary>The connection that leads to the tenant's schema.</summary>
    public Guid ConnectionId { get; set; }

    /// <summary>The ring: the next one is begun when all tenants of this one are done. The first is 0.</summary>
    public int Ring { get; set; }

    /// <summary>How far it got, in lower case in the column.</summary>
    public TenantMigrationState State { get; set; }

    /// <summary>The runner that works or worked at it: the key of the advisory lock that its session holds.</summary>
    public long? Runner { get; set; }

    /// <summary>The last migration before, or null.</summary>
    public string? FromVersion { get; set; }

    /// <summary>The last migration after, or null.</summary>
    public string? ToVersion { get; set; }

    /// <summary>When it was begun, the last time.</summary>
    public DateTimeOffset? StartedAt { get; set; }

    /// <summary>How long it took, in milliseconds.</summary>
    public int? DurationMs { get; set; }

    /// <summary>What went wrong; it never holds a secret.</summary>
    public string? Error { get; set; }
}
