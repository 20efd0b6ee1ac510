namespace NeoCommons.EfCore.Admin;

/// <summary>A row of <c>admin.tenant_events</c>: what was done to a tenant, when, and by whom. It outlives the tenant.</summary>
public class TenantEventEntity
{
    /// <summary>The key, in the order of writing.</summary>
    public long Id { get; private set; }

    /// <summary>The tenant, which may be gone.</summary>
    public Guid TenantId { get; set; }

    /// <summary>The tenant's slug at that time.</summary>
    public required string Slug { get; set; }

    /// <summary>What was done, in lower case: <c>created</c>, <c>suspended</c>, <c>renamed</c>.</summary>
    public required string Action { get; set; }

    /// <summary>Who did it.</summary>
    public required string Actor { get; set; }

    /// <summary>When. Set by the database.</summary>
    public DateTimeOffset At { get; private set; }

    /// <summary>What else there is to know, a JSON object; it never holds a secret.</summary>
    public string Details { get; set; } = "{}";
}
