using System.Security.Cryptography;
using System.Text;

namespace NeoCommons.EfCore.Admin;

/// <summary>A Fernet key: 16 bytes that sign and 16 bytes that encrypt.</summary>
/// <remarks>A class, not a record: nothing of it is ever printed.</remarks>
internal sealed class FernetKey
{
    internal const int Size = 32;
    private const int EncodedLength = 44;

    private readonly byte[] _bytes;

    private FernetKey(byte[] bytes) => _bytes = bytes;

    internal ReadOnlySpan<byte> Signing => _bytes.AsSpan(0, Size / 2);

    internal ReadOnlySpan<byte> Encryption => _bytes.AsSpan(Size / 2);

    /// <summary>Reads a key: 44 characters of base64url, or 32 ASCII characters that are the key themselves.</summary>
    /// <returns>The key, or null and what is wrong with the text, as the end of a sentence without the text.</returns>
    internal static (FernetKey? Key, string? Fault) Read(ReadOnlySpan<char> text) =>
        text switch
        {
            { Length: 0 } => (null, "is empty"),
            { Length: Size } when text.ContainsAnyExceptInRange(' ', '~') => (
                null,
                "has 32 characters that are not all printable ASCII"
            ),
            { Length: Size } => (new FernetKey(Raw(text)), null),
            { Length: EncodedLength } => Decode(text) is { } key
                ? (key, null)
                : (null, "has 44 characters that are not the base64url of 32 bytes"),
            _ => (null, $"has {text.Length} characters, not {EncodedLength} (or {Size} raw ones)"),
        };

    /// <summary>A key for another purpose, from which this one cannot be found.</summary>
    internal FernetKey Derive(string purpose) =>
        new(HKDF.DeriveKey(HashAlgorithmName.SHA256, _bytes, Size, info: Encoding.UTF8.GetBytes(purpose)));

    private static byte[] Raw(ReadOnlySpan<char> text)
    {
        var bytes = new byte[Size];
        Encoding.ASCII.GetBytes(text, bytes);
        return bytes;
    }

    // As Python's urlsafe_b64decode: both base64 alphabets, and any value in the two bits that the last character
    // does not use.
    private static FernetKey? Decode(ReadOnlySpan<char> text)
    {
        Span<char> standard = stackalloc char[EncodedLength];
        text.Replace(standard, '-', '+');
        standard.Replace('_', '/');
        var bytes = new byte[Size];
        var key = Convert.TryFromBase64Chars(standard, bytes, out var written) && written == Size;
        standard.Clear();
        return key ? new FernetKey(bytes) : null;
    }
}
