namespace NeoCommons.EfCore.Admin;

/// <summary>What a stored token turned out to be.</summary>
internal enum StoredSecretState
{
    /// <summary>Written for the target that it stands at.</summary>
    Bound,

    /// <summary>Written for no target: a password and nothing else, as Python's <c>cryptography</c> writes it.</summary>
    Unbound,

    /// <summary>Written for another target: the token was copied, or its row was changed without the key.</summary>
    BoundElsewhere,

    /// <summary>Written in a form that this version does not know.</summary>
    NewerForm,

    /// <summary>A whole token that none of the keys signed.</summary>
    OfAnotherKey,

    /// <summary>Not a token, or one that holds no text.</summary>
    Malformed,
}
