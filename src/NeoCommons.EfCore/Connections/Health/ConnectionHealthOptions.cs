namespace NeoCommons.EfCore;

/// <summary>
/// How connections are looked at, and when one counts as degraded or unhealthy. Bound from section
/// <c>NeoCommons:Health</c>.
/// </summary>
public sealed class ConnectionHealthOptions
{
    /// <summary>How long a connection may take to answer before it counts as unhealthy. <value>Default: 5 s; at most 1 day.</value></summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>The answer time from which it counts as degraded. <value>Default: 1 s.</value></summary>
    public TimeSpan SlowAfter { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>The share of leased connections from which a pool counts as degraded. <value>Default: 0.9.</value></summary>
    public double SaturatedFrom { get; set; } = 0.9;

    /// <summary>How many connections are looked at at the same time. <value>Default: 8.</value></summary>
    public int Parallelism { get; set; } = 8;

    /// <summary>
    /// How often the connections in use are looked at in the background; what a health check reports is at most this old.
    /// <value>Default: 10 s; 1 s to 1 day.</value>
    /// </summary>
    public TimeSpan Interval { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How often the catalog of a database is counted. <value>Default: 5 min; at most 1 day.</value></summary>
    public TimeSpan CatalogInterval { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// The schemas of one database from which its connection counts as degraded. <value>Default: 1,000.</value> Plan further
    /// tenants in another database.
    /// </summary>
    public int MaxSchemas { get; set; } = 1_000;

    /// <summary>The relations of one database from which its connection counts as degraded. <value>Default: 50,000.</value></summary>
    public int MaxRelations { get; set; } = 50_000;

    internal IList<NamedCheck> Checks { get; } = [];

    /// <summary>
    /// Adds a check of your own, made on an open connection after <c>SELECT 1</c>, within <see cref="Timeout"/>: the lag of a
    /// queue, the age of a backup.
    /// </summary>
    /// <param name="name">What is shown as the reason where it says that the connection is not healthy.</param>
    /// <param name="check">The check.</param>
    /// <param name="connectionName">The connection that it is for; null: every one.</param>
    public void AddCheck(string name, ConnectionCheck check, string? connectionName = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(check);
        Checks.Add(new NamedCheck(name, connectionName, check));
    }

    internal bool IsTooLarge(CatalogPressure catalog) =>
        catalog.Schemas >= MaxSchemas || catalog.Relations >= MaxRelations;

    internal IEnumerable<string> FindFaults()
    {
        if (Interval < TimeSpan.FromSeconds(1) || Interval > TimeSpan.FromDays(1))
        {
            yield return $"{nameof(ConnectionHealthOptions)}.{nameof(Interval)} is {Interval}; it must be between 1 second and 1 day.";
        }

        if (CatalogInterval < TimeSpan.Zero || CatalogInterval > TimeSpan.FromDays(1))
        {
            yield return $"{nameof(ConnectionHealthOptions)}.{nameof(CatalogInterval)} is {CatalogInterval}; it must be between 0 and 1 day.";
        }

        if (MaxSchemas < 1 || MaxRelations < 1)
        {
            yield return $"{nameof(ConnectionHealthOptions)}: {nameof(MaxSchemas)} is {MaxSchemas} and {nameof(MaxRelations)} is "
                + $"{MaxRelations}; both must be at least 1.";
        }

        if (Timeout <= TimeSpan.Zero || Timeout > TimeSpan.FromDays(1))
        {
            yield return $"{nameof(ConnectionHealthOptions)}.{nameof(Timeout)} is {Timeout}; it must be more than 0, and at "
                + "most 1 day.";
        }

        if (SlowAfter <= TimeSpan.Zero)
        {
            yield return $"{nameof(ConnectionHealthOptions)}.{nameof(SlowAfter)} is {SlowAfter}; it must be more than 0.";
        }

        if (SaturatedFrom is not (> 0 and <= 1))
        {
            yield return $"{nameof(ConnectionHealthOptions)}.{nameof(SaturatedFrom)} is {SaturatedFrom}; it must be more than "
                + "0, and at most 1.";
        }

        if (Parallelism < 1)
        {
            yield return $"{nameof(ConnectionHealthOptions)}.{nameof(Parallelism)} is {Parallelism}; it must be at least 1.";
        }
    }
}
