namespace NeoCommons.EfCore.Admin;

/// <summary>A token that was looked at, and what it holds where it may be used.</summary>
/// <remarks>A class, not a record: nothing of it is ever printed.</remarks>
internal sealed class StoredSecret(StoredSecretState state, string? text = null)
{
    public StoredSecretState State => state;

    /// <summary>The secret; null unless it is bound to the target, or to none.</summary>
    public string? Text => text;

    /// <summary>Whether one of our keys has written it, readable or not.</summary>
    public bool IsOfOurKeys => State is not (StoredSecretState.OfAnotherKey or StoredSecretState.Malformed);

    /// <summary>The secret, or why there is none.</summary>
    /// <param name="acceptUnbound">Whether a token that is bound to no target may be used.</param>
    public Secret ToSecret(bool acceptUnbound) =>
        Text is not null && (acceptUnbound || State != StoredSecretState.Unbound)
            ? Secret.FromText(Text)
            : Secret.Unreadable(Explain(State), Kind(State));

    /// <summary>Why it cannot be used, in a few words that name no value.</summary>
    public static string Kind(StoredSecretState state) =>
        state switch
        {
            StoredSecretState.Unbound => "secret is bound to no database",
            StoredSecretState.BoundElsewhere => "secret is for another database",
            StoredSecretState.NewerForm => "secret is of a newer version",
            StoredSecretState.OfAnotherKey => "secret is of another key",
            _ => "secret cannot be read",
        };

    /// <summary>Why it cannot be used, and what to do.</summary>
    public static string Explain(StoredSecretState state) =>
        state switch
        {
            StoredSecretState.Unbound =>
                "A stored secret is bound to no host, port, database and user, and NeoCommons:AdminDatabase:RefuseUnboundPasswords "
                    + "is on. Write it again: connections set-password.",
            StoredSecretState.BoundElsewhere =>
                "A stored secret was written for another host, port, database or user than its row names now: the row was "
                    + "changed without the key, or the token was copied from another row. If the row is right, write the secret "
                    + "again: connections set-password.",
            StoredSecretState.NewerForm =>
                "A stored secret was written by a newer version of this library. Update this application, or write the secret "
                    + "again with it: connections set-password.",
            StoredSecretState.OfAnotherKey =>
                $"A stored secret was written with a key that is not in {FernetKeys.Variable}, or was changed since. Add the "
                    + "key that wrote it at the end of the list, or write the secret again.",
            _ => "A stored secret is not a whole Fernet token (they begin with 'gAAAA') that holds text in UTF-8; a "
                + "password in clear is refused, too. Encrypt the secret and write it again.",
        };
}
