using System.Security.Cryptography;

namespace NeoCommons.EfCore.Benchmarks;

internal static class EncryptionKey
{
    /// <summary>A new key for <c>DB_ENCRYPTION_KEY</c>.</summary>
    public static string New() =>
        Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)).Replace('+', '-').Replace('/', '_');
}
