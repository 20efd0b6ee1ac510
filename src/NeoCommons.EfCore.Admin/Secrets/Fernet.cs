using System.Buffers;
using System.Buffers.Binary;
using System.Buffers.Text;
using System.Security.Cryptography;

namespace NeoCommons.EfCore.Admin;

/// <summary>The Fernet format, version 0x80.</summary>
/// <remarks>
/// <para>
/// A token is the base64url, with padding, of
/// <c>version (1) | seconds since 1970 (8, big-endian) | IV (16) | AES-128-CBC | HMAC-SHA256 of all before it (32)</c>
/// (<see href="https://github.com/fernet/spec/blob/master/Spec.md">specification</see>).
/// </para>
/// <para>
/// Nothing is decrypted before its signature is found right. A token has one spelling: missing padding, characters of
/// another alphabet and stray last bits are refused, where Python's <c>cryptography</c> overlooks some of them.
/// </para>
/// </remarks>
internal static class Fernet
{
    internal const int IvSize = 16;

    private const byte Version = 0x80;
    private const int TimeOffset = 1;
    private const int IvOffset = TimeOffset + sizeof(ulong);
    private const int CipherOffset = IvOffset + IvSize;
    private const int BlockSize = 16;
    private const int MacSize = HMACSHA256.HashSizeInBytes;
    private static readonly TimeSpan LongestSkew = TimeSpan.FromSeconds(60);

    /// <summary>Makes a token.</summary>
    internal static string Encrypt(FernetKey key, ReadOnlySpan<byte> message, DateTimeOffset now)
    {
        Span<byte> iv = stackalloc byte[IvSize];
        RandomNumberGenerator.Fill(iv);
        return Encrypt(key, message, now, iv);
    }

    /// <summary>Makes a token with a given IV, which must be random for every token.</summary>
    internal static string Encrypt(FernetKey key, ReadOnlySpan<byte> message, DateTimeOffset now, ReadOnlySpan<byte> iv)
    {
        var cipherSize = ((message.Length / BlockSize) + 1) * BlockSize;
        var token = new byte[CipherOffset + cipherSize + MacSize];
        token[0] = Version;
        BinaryPrimitives.WriteInt64BigEndian(token.AsSpan(TimeOffset), now.ToUnixTimeSeconds());
        iv.CopyTo(token.AsSpan(IvOffset, IvSize));
        using (var aes = Aes.Create())
        {
            aes.SetKey(key.Encryption);
            aes.EncryptCbc(message, iv, token.AsSpan(CipherOffset, cipherSize));
        }

        HMACSHA256.HashData(key.Signing, token.AsSpan(..^MacSize), token.AsSpan(^MacSize..));
        return Encode(token);
    }

    /// <summary>Reads a token with whichever of the keys signed it.</summary>
    /// <param name="keys">The keys, tried in order.</param>
    /// <param name="text">The token.</param>
    /// <param name="message">What the token holds; empty unless the result is <see cref="FernetResult.Ok"/>.</param>
    /// <param name="timeToLive">How old a token may be. Stored secrets do not grow old: null.</param>
    /// <param name="now">The time to compare with; has no meaning without <paramref name="timeToLive"/>.</param>
    internal static FernetResult Decrypt(
        FernetKeys keys,
        ReadOnlySpan<char> text,
        out byte[] message,
        TimeSpan? timeToLive = null,
        DateTimeOffset now = default
    )
    {
        message = [];
        if (
            Decode(text) is not { } token
            || token.Length < CipherOffset + BlockSize + MacSize
            || (token.Length - CipherOffset - MacSize) % BlockSize != 0
            || token[0] != Version
        )
        {
            return FernetResult.Malformed;
        }

        if (FindSigner(keys, token.AsSpan()) is not { } signer)
        {
            return FernetResult.Unverified;
        }

        if (timeToLive is { } ttl && !IsAlive(token, ttl, now))
        {
            return FernetResult.Expired;
        }

        try
        {
            using var aes = Aes.Create();
            aes.SetKey(keys.All[signer].Encryption);
            message = aes.DecryptCbc(token.AsSpan(CipherOffset..^MacSize), token.AsSpan(IvOffset, IvSize));
            return FernetResult.Ok;
        }
        catch (CryptographicException)
        {
            // Signed, and yet the padding is wrong: a fault of the writer. Without the key nobody gets this far, so
            // that the answer is no oracle.
            return FernetResult.Malformed;
        }
    }

    /// <summary>Which key signed a token: its place in the list; null where none did.</summary>
    internal static int? FindSigner(FernetKeys keys, ReadOnlySpan<char> text) =>
        Decode(text.Trim()) is { Length: > MacSize } token ? FindSigner(keys, token.AsSpan()) : null;

    private static int? FindSigner(FernetKeys keys, ReadOnlySpan<byte> token)
    {
        Span<byte> mac = stackalloc byte[MacSize];
        for (var i = 0; i < keys.All.Count; i++)
        {
            HMACSHA256.HashData(keys.All[i].Signing, token[..^MacSize], mac);
            if (CryptographicOperations.FixedTimeEquals(mac, token[^MacSize..]))
            {
                return i;
            }
        }

        return null;
    }

    private static bool IsAlive(ReadOnlySpan<byte> token, TimeSpan timeToLive, DateTimeOffset now)
    {
        // A time of 64 bits without a sign does not fit a DateTimeOffset.
        Int128 written = BinaryPrimitives.ReadUInt64BigEndian(token[TimeOffset..]);
        Int128 seconds = now.ToUnixTimeSeconds();
        return written + (long)timeToLive.TotalSeconds >= seconds
            && written <= seconds + (long)LongestSkew.TotalSeconds;
    }

    private static string Encode(ReadOnlySpan<byte> token)
    {
        var text = Base64Url.EncodeToString(token);
        return text.PadRight((text.Length + 3) / 4 * 4, '=');
    }

    // The decoder overlooks padding, white space and more; what it read must be what we would have written.
    private static byte[]? Decode(ReadOnlySpan<char> text)
    {
        var bytes = new byte[Base64Url.GetMaxDecodedLength(text.Length)];
        if (Base64Url.DecodeFromChars(text, bytes, out _, out var written) != OperationStatus.Done)
        {
            return null;
        }

        var token = bytes[..written];
        return text.SequenceEqual(Encode(token)) ? token : null;
    }
}
