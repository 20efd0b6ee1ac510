namespace NeoCommons.EfCore.Admin;

/// <summary>How many schemas are kept ready for new tenants. Bound from section <c>NeoCommons:WarmPool</c>.</summary>
public sealed class WarmPoolOptions
{
    /// <summary>How many schemas wait in each database. <value>Default: 0, none; not negative.</value></summary>
    public int Size { get; set; }

    /// <summary>The kind of tenant that they are for. <value>Default: null, tenants without a kind.</value></summary>
    public string? TenantType { get; set; }

    /// <summary>
    /// The connections. <value>Default: empty, which is each active SHARED one that accepts tenants and is below its
    /// limits.</value>
    /// </summary>
    public IList<string> Connections { get; } = [];

    /// <summary>How often the pool is looked after when nobody takes from it. <value>Default: 30 s; at least 1 s.</value></summary>
    public TimeSpan RefillInterval { get; set; } = TimeSpan.FromSeconds(30);
}
