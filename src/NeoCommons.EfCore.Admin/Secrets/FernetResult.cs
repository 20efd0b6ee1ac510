namespace NeoCommons.EfCore.Admin;

/// <summary>What came of reading a Fernet token.</summary>
internal enum FernetResult
{
    /// <summary>It was read.</summary>
    Ok,

    /// <summary>It is not a Fernet token, or what it holds is not what its writer should have put in.</summary>
    Malformed,

    /// <summary>It has the form of a token, and none of the keys signed it: a wrong key, or a changed token.</summary>
    Unverified,

    /// <summary>It is outside the time to live that the caller asked for.</summary>
    Expired,
}
