namespace NeoCommons.EfCore.Admin;

/// <summary>Turns passwords into the form in which they are stored, and back.</summary>
/// <remarks>
/// The default writes Fernet tokens that hold the password and its target (docs/secrets.md), and reads tokens that hold a
/// password alone. Replace it where a vault encrypts; where only the key comes from one, implement
/// <see cref="IEncryptionKeySource"/>. An implementation is thread-safe, refuses a token at another target than the one it was
/// written for, and no text of it, its exceptions included, shows a password, a token or a key.
/// </remarks>
public interface ISecretProtector
{
    /// <summary>Encrypts a password for its target; the same one gives another token each time.</summary>
    /// <param name="secret">The password.</param>
    /// <param name="target">Whom it is for: <see cref="SecretTarget.Of(DatabaseConnectionEntity)"/> of the row.</param>
    /// <param name="ct">Cancels.</param>
    ValueTask<string> ProtectAsync(string secret, SecretTarget target, CancellationToken ct = default);

    /// <summary>Reads a password back.</summary>
    /// <param name="token">What <see cref="ProtectAsync"/> returned.</param>
    /// <param name="target">Whom the row that it stands in names now.</param>
    /// <param name="ct">Cancels.</param>
    /// <exception cref="SecretDecryptionException">
    /// The token is damaged, was written with a key that is not known here, or for another target.
    /// </exception>
    ValueTask<string> UnprotectAsync(string token, SecretTarget target, CancellationToken ct = default);
}
