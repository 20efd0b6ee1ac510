namespace NeoCommons.EfCore;

/// <summary>How one connection is.</summary>
public enum ConnectionHealthStatus
{
    /// <summary>Not looked at: it is switched off, or this process has not used it yet.</summary>
    Unknown,

    /// <summary>It answers in time and has free connections.</summary>
    Healthy,

    /// <summary>It answers slowly, or its pool is nearly used up.</summary>
    Degraded,

    /// <summary>It cannot be used.</summary>
    Unhealthy,
}
