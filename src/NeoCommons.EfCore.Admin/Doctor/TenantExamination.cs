namespace NeoCommons.EfCore.Admin;

/// <summary>What to look at, and what to do about it.</summary>
public sealed record TenantExamination
{
    /// <summary>Only this connection. <value>Default: null, all of them.</value></summary>
    public string? ConnectionName { get; init; }

    /// <summary>
    /// Whether each schema is compared with what the migrations make; some ten milliseconds per tenant.
    /// <value>Default: true.</value>
    /// </summary>
    public bool ComparesCatalogs { get; init; } = true;

    /// <summary>
    /// Whether what is safe to mend is mended: an interrupted creation is finished, a tenant that is behind is migrated, an
    /// empty orphan schema is dropped. <value>Default: false.</value> Nothing that holds data is ever dropped or altered.
    /// </summary>
    public bool Mend { get; init; }
}
