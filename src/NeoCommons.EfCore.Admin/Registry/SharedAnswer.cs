namespace NeoCommons.EfCore.Admin;

/// <summary>What a lookup found, in Redis or in the admin database.</summary>
/// <param name="Value">The value; null where there is none.</param>
/// <param name="Age">How long ago it was read from the admin database.</param>
/// <param name="IsLastKnown">Whether it is out of Redis because the admin database did not answer.</param>
internal readonly record struct SharedAnswer<T>(T? Value, TimeSpan Age, bool IsLastKnown)
    where T : class;
