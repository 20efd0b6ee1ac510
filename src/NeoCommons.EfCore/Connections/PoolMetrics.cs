namespace NeoCommons.EfCore;

/// <summary>A pool of connections in this process at one moment, as Npgsql's own meter counts it.</summary>
public sealed record PoolMetrics
{
    /// <summary>The connection's name.</summary>
    public required string ConnectionName { get; init; }

    /// <summary>Connections that are open and wait in the pool.</summary>
    public int Idle { get; init; }

    /// <summary>Connections that are leased.</summary>
    public int Active { get; init; }

    /// <summary>Callers that wait for a connection.</summary>
    public int Pending { get; init; }

    /// <summary>The most connections that the pool may open; 0 where the pool was not used yet.</summary>
    public int Max { get; init; }

    /// <summary>All open connections.</summary>
    public int Total => Idle + Active;

    /// <summary>The share of the pool that is leased, from 0.0 to 1.0.</summary>
    public double Saturation => Max == 0 ? 0 : Math.Min(1.0, (double)Active / Max);

    /// <summary>Whether the next caller would wait.</summary>
    internal bool IsFull => Max > 0 && Active >= Max;
}
