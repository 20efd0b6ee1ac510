namespace NeoCommons.EfCore;

/// <summary>Which limit of a tenant was reached.</summary>
public enum TenantQuota
{
    /// <summary><see cref="TenantLimits.MaxConnections"/>: none came back within the pool timeout of the connection.</summary>
    Connections,

    /// <summary><see cref="TenantLimits.MaxWaiting"/>: as many callers wait already.</summary>
    Waiting,

    /// <summary><see cref="TenantLimits.CommandsPerSecond"/>.</summary>
    CommandsPerSecond,
}
