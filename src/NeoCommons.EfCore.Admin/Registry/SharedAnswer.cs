namespace NeoCommons.EfCore.Admin;

/// <summary>What a lookup found, in Redis or in the admin database.</summary>
/// <param name="Value">The value; null where there is none.</param>
/// <param name="Age">How long ago it was read from the admin database.</param>
/// <param name="IsShared">Whether it is out of Redis.</param>
/// <param name="IsLastKnown">Whether that is so because the admin database did not answer.</param>
internal readonly record struct SharedAnswer<T>(T? Value, TimeSpan Age, bool IsShared = false, bool IsLastKnown = false)
    where T : class;
