namespace NeoCommons.EfCore.Admin;

/// <summary>A password that was bound to no target until now.</summary>
/// <param name="Connection">The connection.</param>
/// <param name="Target">Whom it is bound to: what its row says now, which nothing has vouched for before.</param>
internal sealed record BoundPassword(string Connection, string Target);
