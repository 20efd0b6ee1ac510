using System.Security.Cryptography;

namespace NeoCommons.EfCore.Testing;

/// <summary>A password as PostgreSQL stores it, which takes it like that instead of the password itself.</summary>
/// <remarks>See RFC 5802 and https://www.postgresql.org/docs/current/catalog-pg-authid.html.</remarks>
internal static class ScramVerifier
{
    private const int SaltSize = 16;

    /// <summary>Makes one.</summary>
    /// <param name="password">The password: ASCII, others would have to be normalized.</param>
    /// <param name="iterations">How many times it is hashed.</param>
    public static string Of(string password, int iterations)
    {
        var salt = RandomNumberGenerator.GetBytes(SaltSize);
        var salted = Rfc2898DeriveBytes.Pbkdf2(
            password,
            salt,
            iterations,
            HashAlgorithmName.SHA256,
            SHA256.HashSizeInBytes
        );
        var stored = SHA256.HashData(HMACSHA256.HashData(salted, "Client Key"u8));
        var server = HMACSHA256.HashData(salted, "Server Key"u8);
        return FormattableString.Invariant(
            $"SCRAM-SHA-256${iterations}:{Convert.ToBase64String(salt)}${Convert.ToBase64String(stored)}:{Convert.ToBase64String(server)}"
        );
    }
}
