namespace NeoCommons.EfCore.Admin;

/// <summary>Turns secrets into the form in which they are stored, and back.</summary>
/// <remarks>
/// The default writes Fernet tokens under <c>DB_ENCRYPTION_KEY</c>
/// (<see href="https://github.com/fernet/spec/blob/master/Spec.md">the format</see>). Replace it to keep keys in a vault.
/// An implementation is thread-safe, and no text of it, its exceptions included, shows a secret, a token or a key.
/// </remarks>
public interface ISecretProtector
{
    /// <summary>Encrypts a secret; the same secret gives another token each time.</summary>
    /// <param name="secret">The secret, for example a connection's password.</param>
    string Protect(string secret);

    /// <summary>Reads a secret back.</summary>
    /// <param name="token">What <see cref="Protect"/> returned.</param>
    /// <exception cref="SecretDecryptionException">The token is damaged or was written with a key that is not known here.</exception>
    string Unprotect(string token);
}
