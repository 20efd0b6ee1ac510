using System.Security.Cryptography;

namespace NeoCommons.EfCore.Admin;

/// <summary>Writes passwords as Fernet tokens that are bound to their targets, and reads those of Python's <c>cryptography</c> too.</summary>
/// <remarks>Thread-safe: it holds nothing that changes.</remarks>
internal sealed class FernetSecrets(FernetKeys keys, TimeProvider time)
{
    /// <summary>Makes a token with the first key.</summary>
    /// <exception cref="ArgumentException">A text holds half of a surrogate pair and has no UTF-8 form.</exception>
    public string Protect(string secret, SecretTarget target)
    {
        var message = SecretMessage.Write(secret, target);
        try
        {
            return Fernet.Encrypt(keys.Primary, message, time.GetUtcNow());
        }
        finally
        {
            CryptographicOperations.ZeroMemory(message);
        }
    }

    /// <summary>Reads a token that stands at a target.</summary>
    public StoredSecret Read(string token, SecretTarget target)
    {
        // A token that came through a file or a shell may carry the end of its line.
        var result = Fernet.Decrypt(keys, token.AsSpan().Trim(), out var message);
        try
        {
            return result switch
            {
                FernetResult.Ok => SecretMessage.Read(message, target),
                FernetResult.Unverified => new StoredSecret(StoredSecretState.OfAnotherKey),
                _ => new StoredSecret(StoredSecretState.Malformed),
            };
        }
        finally
        {
            CryptographicOperations.ZeroMemory(message);
        }
    }

    /// <summary>Which key signed a token: its place in the list; null where none did.</summary>
    public int? FindKey(string token) => Fernet.FindSigner(keys, token);

    /// <summary>How many keys there are.</summary>
    public int KeyCount => keys.All.Count;
}
