namespace NeoCommons.EfCore.Admin;

/// <summary>How many stored passwords a key has written.</summary>
/// <param name="Key">Its place in the list, from 1: the first is the one that encrypts.</param>
/// <param name="Before">How many before the rotation.</param>
/// <param name="After">How many after it.</param>
internal sealed record KeyCount(int Key, int Before, int After);
