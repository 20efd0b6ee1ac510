namespace NeoCommons.EfCore.Admin;

/// <summary>How many passwords could be read with the keys of now, and how many well-formed ones could not.</summary>
internal readonly record struct SecretAudit(int Readable, int Unverified)
{
    /// <summary>
    /// Not one of the tokens was written with a key that we have: it is the key that is wrong, not the rows.
    /// </summary>
    public bool KeyIsWrong => Readable == 0 && Unverified > 0;

    public SecretAudit With(FernetResult result) =>
        result switch
        {
            FernetResult.Ok => this with { Readable = Readable + 1 },
            FernetResult.Unverified => this with { Unverified = Unverified + 1 },
            _ => this,
        };
}
