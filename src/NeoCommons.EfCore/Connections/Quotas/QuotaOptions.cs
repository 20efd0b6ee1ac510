namespace NeoCommons.EfCore;

/// <summary>What tenants may take where their rows do not say. Bound from section <c>NeoCommons:Connections:Quotas</c>.</summary>
/// <remarks>Each holds for one process; a tenant's own <see cref="TenantLimits"/> come before it.</remarks>
public sealed class QuotaOptions
{
    /// <summary>
    /// The share of the pool that one tenant of a connection of type <see cref="ConnectionType.Shared"/> may hold, rounded up;
    /// above 0, at most 1. <value>Default: 0.5.</value> With 1 only the pool itself is a limit. Tenants of other connections have
    /// no such limit.
    /// </summary>
    public double TenantConnectionShare { get; set; } = 0.5;

    /// <summary>
    /// The most callers that wait for a connection of one tenant; the next one gets <see cref="TenantQuotaExceededException"/>
    /// at once. <value>Default: 1,000; 0 to 100,000.</value>
    /// </summary>
    public int TenantMaxWaiting { get; set; } = 1_000;

    /// <summary>
    /// How long the server lets a statement of a tenant run. <value>Default: null, as long as the server's own setting says;
    /// 1 ms to 1 day.</value> Not applied behind a pooler in transaction mode, which keeps no session.
    /// </summary>
    public TimeSpan? TenantStatementTimeout { get; set; }

    /// <summary>
    /// The most commands of EF in a second for one tenant; as many may come at once. <value>Default: null, any number.</value>
    /// </summary>
    public int? TenantCommandsPerSecond { get; set; }

    /// <summary>
    /// How many connections in a row a tenant may break within two minutes before its own are opened apart from the pool, until it has
    /// broken none for 30 s: with each, the driver may close the idle ones of all. <value>Default: 8; 0: any number; at most
    /// 10,000.</value>
    /// </summary>
    public int TenantMaxBreaks { get; set; } = 8;

    internal IEnumerable<string> FindFaults()
    {
        const string Section = "NeoCommons:Connections:Quotas:Tenant";
        if (TenantConnectionShare is not (> 0 and <= 1))
        {
            yield return FormattableString.Invariant(
                $"{Section}ConnectionShare is {TenantConnectionShare}; it must be above 0 and at most 1."
            );
        }

        if (TenantMaxBreaks is < 0 or > 10_000)
        {
            yield return FormattableString.Invariant(
                $"{Section}MaxBreaks is {TenantMaxBreaks}; it must be between 0 and 10,000."
            );
        }

        var defaults = new TenantLimits
        {
            MaxWaiting = TenantMaxWaiting,
            StatementTimeout = TenantStatementTimeout,
            CommandsPerSecond = TenantCommandsPerSecond,
        };
        foreach (var fault in defaults.FindFaults(Section))
        {
            yield return fault;
        }
    }
}
