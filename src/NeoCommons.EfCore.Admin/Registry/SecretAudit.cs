namespace NeoCommons.EfCore.Admin;

/// <summary>
/// How many passwords of active connections could be read, and how many were written with a key that is not known.
/// </summary>
internal readonly record struct SecretAudit(int Readable, int OfAnotherKey)
{
    /// <summary>
    /// Not one of the passwords was written with a key that we have: it is the key that is wrong, not the rows.
    /// </summary>
    public bool KeyIsWrong => Readable == 0 && OfAnotherKey > 0;

    /// <summary>Counts one password more; null stands for one that could be read.</summary>
    public SecretAudit With(SecretDecryptionException? failure) =>
        failure switch
        {
            null => this with { Readable = Readable + 1 },
            { IsOfAnotherKey: true } => this with { OfAnotherKey = OfAnotherKey + 1 },
            _ => this,
        };
}
