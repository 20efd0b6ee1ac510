namespace NeoCommons.EfCore.Admin;

/// <summary>A stored password that cannot be used.</summary>
/// <param name="Connection">The connection.</param>
/// <param name="Reason">Why, in a few words.</param>
internal sealed record UnusablePassword(string Connection, string Reason);
