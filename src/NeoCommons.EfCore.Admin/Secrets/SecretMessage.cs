using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;

namespace NeoCommons.EfCore.Admin;

/// <summary>What is inside a token: a password and whom it is for.</summary>
/// <remarks>
/// <para>
/// <c>0xFF | 0x01 | {"host": "...", "port": 5432, "database": "...", "username": "...", "password": "..."}</c>, the object in
/// JSON (docs/adr/0019).
/// </para>
/// <para>
/// A token of Python holds a password in UTF-8, and no text in UTF-8 has the byte 0xFF: whatever password somebody chooses, it is
/// never taken for a message with a target, and a reader that does not know the form fails instead of using it as a password.
/// </para>
/// </remarks>
internal static class SecretMessage
{
    internal const byte Mark = 0xFF;
    internal const byte Version = 1;

    private const int HeaderSize = 2;
    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    /// <summary>Writes a message.</summary>
    /// <exception cref="ArgumentException">A text holds half of a surrogate pair and has no UTF-8 form.</exception>
    public static byte[] Write(string secret, SecretTarget target)
    {
        RefuseHalves(secret, nameof(secret));
        RefuseHalves(target.Host + target.Database + target.Username, nameof(target));
        var body = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(body))
        {
            json.WriteStartObject();
            json.WriteString("host", target.Host);
            json.WriteNumber("port", target.Port);
            json.WriteString("database", target.Database);
            json.WriteString("username", target.Username);
            json.WriteString("password", secret);
            json.WriteEndObject();
        }

        byte[] message = [Mark, Version, .. body.WrittenSpan];
        body.Clear();
        return message;
    }

    /// <summary>Reads a message that stands at a target.</summary>
    public static StoredSecret Read(ReadOnlyMemory<byte> message, SecretTarget target)
    {
        if (message.IsEmpty || message.Span[0] != Mark)
        {
            return ReadUnbound(message.Span);
        }

        if (message.Length < HeaderSize || message.Span[1] == 0)
        {
            return new StoredSecret(StoredSecretState.Malformed);
        }

        return message.Span[1] == Version
            ? ReadBound(message[HeaderSize..], target)
            : new StoredSecret(StoredSecretState.NewerForm);
    }

    private static StoredSecret ReadUnbound(ReadOnlySpan<byte> message)
    {
        try
        {
            return new StoredSecret(StoredSecretState.Unbound, StrictUtf8.GetString(message));
        }
        catch (DecoderFallbackException)
        {
            return new StoredSecret(StoredSecretState.Malformed);
        }
    }

    private static StoredSecret ReadBound(ReadOnlyMemory<byte> body, SecretTarget target)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            if (!TryRead(json.RootElement, out var written, out var secret))
            {
                return new StoredSecret(StoredSecretState.Malformed);
            }

            return written == target
                ? new StoredSecret(StoredSecretState.Bound, secret)
                : new StoredSecret(StoredSecretState.BoundElsewhere);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            // Signed with the key, and yet not what we write.
            return new StoredSecret(StoredSecretState.Malformed);
        }
    }

    private static bool TryRead(
        JsonElement json,
        [NotNullWhen(true)] out SecretTarget? target,
        [NotNullWhen(true)] out string? secret
    )
    {
        target = null;
        secret = null;
        // Five that are all there: none is there twice.
        if (
            json.GetPropertyCount() == 5
            && json.TryGetProperty("host", out var host)
            && json.TryGetProperty("port", out var port)
            && json.TryGetProperty("database", out var database)
            && json.TryGetProperty("username", out var username)
            && json.TryGetProperty("password", out var password)
            && host.GetString() is { } hostText
            && database.GetString() is { } databaseText
            && username.GetString() is { } usernameText
            && password.GetString() is { } secretText
        )
        {
            target = new SecretTarget(hostText, port.GetInt32(), databaseText, usernameText);
            secret = secretText;
        }

        return target is not null;
    }

    private static void RefuseHalves(string text, string name)
    {
        try
        {
            StrictUtf8.GetByteCount(text);
        }
        catch (EncoderFallbackException)
        {
            // Not as the inner exception: it shows a character of the secret.
            throw new ArgumentException(
                $"The {name} holds half of a surrogate pair. Set it to well-formed text.",
                name
            );
        }
    }
}
