using System.Security.Cryptography;
using System.Text;

namespace NeoCommons.EfCore.Admin;

/// <summary>Keeps secrets as Fernet tokens, readable by Python's <c>cryptography</c> and reading what it wrote.</summary>
/// <remarks>Thread-safe: it holds nothing that changes.</remarks>
internal sealed class FernetSecretProtector(FernetKeys keys, TimeProvider time) : ISecretProtector
{
    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The secret holds half of a surrogate pair and has no UTF-8 form.</exception>
    public string Protect(string secret)
    {
        ArgumentNullException.ThrowIfNull(secret);
        byte[] message;
        try
        {
            message = StrictUtf8.GetBytes(secret);
        }
        catch (EncoderFallbackException)
        {
            // Not as the inner exception: it shows a character of the secret.
            throw new ArgumentException(
                "The secret holds half of a surrogate pair. Set it to well-formed text.",
                nameof(secret)
            );
        }

        try
        {
            return Fernet.Encrypt(keys.Primary, message, time.GetUtcNow());
        }
        finally
        {
            CryptographicOperations.ZeroMemory(message);
        }
    }

    /// <inheritdoc/>
    public string Unprotect(string token)
    {
        var result = TryUnprotect(token, out var secret);
        return result == FernetResult.Ok
            ? secret!
            : throw new SecretDecryptionException(Explain(result))
            {
                IsOfAnotherKey = result == FernetResult.Unverified,
            };
    }

    /// <summary>Why a secret cannot be read, and what to do.</summary>
    private static string Explain(FernetResult result) =>
        result == FernetResult.Unverified
            ? $"A stored secret was written with a key that is not in {FernetKeys.Variable}, or was changed since. "
                + "Add the key that wrote it at the end of the list, or write the secret again."
            : "A stored secret is not a whole Fernet token (they begin with 'gAAAA') that holds text in UTF-8; a "
                + "password in clear is refused, too. Encrypt the secret and write it again.";

    /// <summary>Reads a secret back, or says why not.</summary>
    internal FernetResult TryUnprotect(string token, out string? secret)
    {
        ArgumentNullException.ThrowIfNull(token);
        secret = null;

        // A token that came through a file or a shell may carry the end of its line.
        var result = Fernet.Decrypt(keys, token.AsSpan().Trim(), out var message);
        if (result != FernetResult.Ok)
        {
            return result;
        }

        try
        {
            secret = StrictUtf8.GetString(message);
            return FernetResult.Ok;
        }
        catch (DecoderFallbackException)
        {
            return FernetResult.Malformed;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(message);
        }
    }
}
