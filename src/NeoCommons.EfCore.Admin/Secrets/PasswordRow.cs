namespace NeoCommons.EfCore.Admin;

/// <summary>A stored password and where it stands.</summary>
/// <remarks>A class, not a record: nothing of it is ever printed.</remarks>
internal sealed class PasswordRow(Guid id, string name, string token, SecretTarget target)
{
    public Guid Id => id;

    public string Name => name;

    public string Token => token;

    public SecretTarget Target => target;
}
