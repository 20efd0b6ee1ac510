namespace NeoCommons.EfCore.Admin;

/// <summary>How tenants are archived and deleted. Bound from section <c>NeoCommons:Lifecycle</c>.</summary>
public sealed class TenantLifecycleOptions
{
    /// <summary>How long an archived tenant is kept before it may be deleted. <value>Default: 30 days; not negative.</value></summary>
    public TimeSpan Retention { get; set; } = TimeSpan.FromDays(30);

    /// <summary>
    /// How many tables are dropped in one transaction when a tenant is deleted. <value>Default: 100; at least 1.</value>
    /// Each takes a lock for itself, its indexes and its sequences, and a server has about 6,400 by default.
    /// </summary>
    public int DropBatch { get; set; } = 100;

    /// <summary>The program that exports a tenant before it is deleted. <value>Default: <c>pg_dump</c>, found on the path.</value></summary>
    public string PgDump { get; set; } = "pg_dump";
}
