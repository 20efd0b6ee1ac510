namespace NeoCommons.EfCore.Admin;

/// <summary>What the passwords of active connections are.</summary>
/// <param name="OfOurKeys">How many were written with a key that we have.</param>
/// <param name="OfAnotherKey">How many were written with a key that we do not have.</param>
/// <param name="Unbound">How many of ours are bound to no target.</param>
internal readonly record struct SecretAudit(int OfOurKeys, int OfAnotherKey, int Unbound)
{
    /// <summary>
    /// Not one of the passwords was written with a key that we have: it is the key that is wrong, not the rows.
    /// </summary>
    public bool KeyIsWrong => OfOurKeys == 0 && OfAnotherKey > 0;

    /// <summary>Counts one password more.</summary>
    public SecretAudit With(StoredSecret secret) =>
        new(
            OfOurKeys + (secret.IsOfOurKeys ? 1 : 0),
            OfAnotherKey + (secret.State == StoredSecretState.OfAnotherKey ? 1 : 0),
            Unbound + (secret.State == StoredSecretState.Unbound ? 1 : 0)
        );
}
