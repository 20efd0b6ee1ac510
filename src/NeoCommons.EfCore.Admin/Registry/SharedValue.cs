namespace NeoCommons.EfCore.Admin;

/// <summary>A value as it lies in Redis, for all processes of the application.</summary>
/// <param name="Key">Its key: a value that was copied to another key is told by it.</param>
/// <param name="Position">By which a change since then is told (<see cref="RecentChanges"/>).</param>
/// <param name="ReadAt">When it was read from the admin database, by the clock of who did.</param>
/// <param name="Value">The value.</param>
internal sealed record SharedValue<T>(string Key, RowPosition Position, DateTimeOffset ReadAt, T Value);
