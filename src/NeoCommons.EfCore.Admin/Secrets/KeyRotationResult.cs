namespace NeoCommons.EfCore.Admin;

/// <summary>What a rotation of keys came to.</summary>
/// <param name="Keys">Each key of the list.</param>
/// <param name="Count">How many passwords were encrypted anew.</param>
/// <param name="Bound">Those that were bound to no target before.</param>
/// <param name="Unusable">Those that could not be read, and were left as they are.</param>
internal sealed record KeyRotationResult(
    IReadOnlyList<KeyCount> Keys,
    int Count,
    IReadOnlyList<BoundPassword> Bound,
    IReadOnlyList<UnusablePassword> Unusable
);
