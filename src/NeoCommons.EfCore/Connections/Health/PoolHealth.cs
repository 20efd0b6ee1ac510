namespace NeoCommons.EfCore;

/// <summary>How full the pool of one connection is now, in this process.</summary>
/// <remarks>What it did lately, and how its server is, is in <see cref="ConnectionHealth"/>.</remarks>
public sealed record PoolHealth
{
    /// <summary>Healthy or degraded: a full pool serves those who are in it.</summary>
    public required ConnectionHealthStatus Status { get; init; }

    /// <summary>Why, where it is not healthy: <c>saturated</c>.</summary>
    public string? Reason { get; init; }

    /// <summary>Connections that are open and in the pool.</summary>
    public required int Idle { get; init; }

    /// <summary>Connections that are leased.</summary>
    public required int Active { get; init; }

    /// <summary>The most that may be open.</summary>
    public required int Max { get; init; }

    /// <summary>Callers that wait for a connection.</summary>
    public required int Pending { get; init; }

    /// <summary><see cref="Active"/> of <see cref="Max"/>, from 0 to 1.</summary>
    public required double Saturation { get; init; }
}
