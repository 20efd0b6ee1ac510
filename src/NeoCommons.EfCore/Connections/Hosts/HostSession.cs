namespace NeoCommons.EfCore;

/// <summary>Which server a physical connection leads to, and what that was when it was opened.</summary>
/// <param name="Host">The server.</param>
/// <param name="IsPrimary">Whether it was a primary.</param>
/// <param name="Timeline">Its timeline; 0 where it is not known.</param>
/// <param name="System">What it has in common with those that it replicates; null where it is not known.</param>
internal sealed record HostSession(RowHost Host, bool IsPrimary, long Timeline, string? System);
