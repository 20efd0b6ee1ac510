namespace NeoCommons.EfCore.Admin;

/// <summary>Which key has written which stored passwords.</summary>
/// <param name="Connections">The connections of each key of the list, in its order.</param>
/// <param name="Unbound">The connections whose password is bound to no target.</param>
/// <param name="Unusable">Those whose password cannot be read.</param>
internal sealed record KeyStatus(
    IReadOnlyList<IReadOnlyList<string>> Connections,
    IReadOnlyList<string> Unbound,
    IReadOnlyList<UnusablePassword> Unusable
);
