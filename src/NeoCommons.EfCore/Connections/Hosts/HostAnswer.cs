namespace NeoCommons.EfCore;

/// <summary>What a server said of itself.</summary>
/// <param name="IsPrimary">Whether it takes writes, as far as replication is concerned.</param>
/// <param name="System">What all servers that replicate each other have in common; null where it does not tell.</param>
/// <param name="Timeline">
/// The number that goes up when a standby is made a primary: of a primary its own, of a standby the one that it receives. Null
/// where it is not told.
/// </param>
/// <param name="Lsn">Up to where it has written, or a standby has replayed, its log; null where it is not told.</param>
/// <param name="Reached">A timeline that it has reached at some time; it may be on a later one. Null where it is not told.</param>
internal sealed record HostAnswer(bool IsPrimary, string? System, long? Timeline, long? Lsn, long? Reached = null);
