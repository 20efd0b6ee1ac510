namespace NeoCommons.EfCore.Admin;

/// <summary>What a rotation of keys came to.</summary>
/// <param name="Keys">Each key of the list.</param>
/// <param name="Count">How many passwords were encrypted anew.</param>
/// <param name="Unreadable">The connections whose password no key reads.</param>
internal sealed record KeyRotationResult(IReadOnlyList<KeyCount> Keys, int Count, IReadOnlyList<string> Unreadable);
