namespace NeoCommons.EfCore;

/// <summary>How one of a connection's servers was found at the last look, which each gets every second. Holds no host name.</summary>
public sealed record HostHealth
{
    /// <summary>Its place in the row: 0 for its host, then those of <c>replica_hosts</c> in their order.</summary>
    public required int Number { get; init; }

    /// <summary>Whether it said that it is a primary, or a standby; null where it did not answer.</summary>
    public bool? IsPrimary { get; init; }

    /// <summary>Why no connection is opened to it; null where it serves.</summary>
    public string? Reason { get; init; }

    /// <summary>
    /// Whether a primary tells its timeline, so that it is kept out when it comes back after it was replaced; where it does not, it is
    /// not fenced. Null of a standby, and where it did not answer.
    /// </summary>
    public bool? IsFenced { get; init; }

    /// <summary>How far a standby is behind its primary at most, in seconds; null where that is not known, and of a primary.</summary>
    public double? LagSeconds { get; init; }
}
