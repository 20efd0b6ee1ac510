namespace NeoCommons.EfCore;

/// <summary>What a server has said that it lets the row's role ask.</summary>
/// <param name="Rights">What it lets it ask.</param>
/// <param name="At">When it said so, a timestamp.</param>
internal sealed record KnownRights(HostRights Rights, long At);
