using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Reads <c>postgresql://user:password@host:port/database?parameter=value</c>.</summary>
/// <remarks>
/// As libpq reads it (<see href="https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS"/>),
/// with <c>%</c> escapes in every part; also <c>postgresql+driver://</c>, which SQLAlchemy writes: the driver says
/// nothing about the server. Where a raw <c>@</c>, <c>/</c> or <c>?</c> makes it unclear where the password ends, the URL
/// is refused rather than cut in the wrong place.
/// </remarks>
internal static partial class PostgresUrl
{
    private const string Escapes =
        "In a user, password or value write '@' as %40, '/' as %2F, '?' as %3F, ':' as %3A, '&' as %26, '=' as %3D and '%' as %25.";

    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    private static readonly Dictionary<string, Action<NpgsqlConnectionStringBuilder, string>> Parameters = new(
        StringComparer.Ordinal
    )
    {
        ["application_name"] = (database, value) => database.ApplicationName = value,
        ["channel_binding"] = (database, value) =>
            database.ChannelBinding = value switch
            {
                "disable" => ChannelBinding.Disable,
                "prefer" => ChannelBinding.Prefer,
                "require" => ChannelBinding.Require,
                _ => throw new FormatException(),
            },
        ["connect_timeout"] = (database, value) =>
            database.Timeout = int.Parse(value, NumberStyles.None, CultureInfo.InvariantCulture),
        ["gssencmode"] = (database, value) =>
            database.GssEncryptionMode = value switch
            {
                "disable" => GssEncryptionMode.Disable,
                "prefer" => GssEncryptionMode.Prefer,
                "require" => GssEncryptionMode.Require,
                _ => throw new FormatException(),
            },
        ["sslcert"] = (database, value) => database.SslCertificate = value,
        ["sslkey"] = (database, value) => database.SslKey = value,
        ["sslmode"] = (database, value) =>
            database.SslMode = value switch
            {
                "disable" => SslMode.Disable,
                "allow" => SslMode.Allow,
                "prefer" => SslMode.Prefer,
                "require" => SslMode.Require,
                "verify-ca" => SslMode.VerifyCA,
                "verify-full" => SslMode.VerifyFull,
                _ => throw new FormatException(),
            },
        ["sslrootcert"] = (database, value) => database.RootCertificate = value,
    };

    internal static bool IsUrl(string text) => Scheme().IsMatch(text);

    internal static NpgsqlConnectionStringBuilder Parse(string text)
    {
        var scheme = Scheme().Match(text);
        if (!scheme.Groups["postgres"].Success)
        {
            throw AdminDatabaseUrl.Fault("is a URL of something else. Begin it with postgresql:// or postgres://.");
        }

        var (address, query) = Cut(text[scheme.Length..], '?');
        var (authority, path) = Cut(address, '/');
        if (authority.Count(c => c == '@') > 1 || path?.Contains('@') == true || query?.Contains('@') == true)
        {
            throw AdminDatabaseUrl.Fault($"does not show where its password ends. {Escapes}");
        }

        var result = new NpgsqlConnectionStringBuilder();
        var at = authority.IndexOf('@');
        if (at >= 0)
        {
            var (user, password) = Cut(authority[..at], ':');
            result.Username = Unescape(user);
            result.Password = string.IsNullOrEmpty(password) ? null : Unescape(password);
        }

        ReadServer(authority[(at + 1)..], result);
        result.Database = string.IsNullOrEmpty(path) ? null : Unescape(path);
        foreach (var parameter in query?.Split('&', StringSplitOptions.RemoveEmptyEntries) ?? [])
        {
            ReadParameter(parameter, result);
        }

        return result;
    }

    private static void ReadServer(string server, NpgsqlConnectionStringBuilder result)
    {
        if (server.Contains(','))
        {
            // Before the port, which would not be a number.
            result.Host = server;
            return;
        }

        var match = Server().Match(server);
        if (!match.Success)
        {
            throw AdminDatabaseUrl.Fault(
                $"has no host and port of the form host:5432, or [::1]:5432 for IPv6, after its user. {Escapes}"
            );
        }

        result.Host = Unescape(match.Groups["host"].Value);
        if (match.Groups["port"] is { Length: > 0 } port)
        {
            result.Port =
                int.TryParse(port.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                && number > 0
                    ? number
                    : throw AdminDatabaseUrl.BadPort();
        }
    }

    private static void ReadParameter(string parameter, NpgsqlConnectionStringBuilder result)
    {
        var (name, value) = Cut(parameter, '=');
        if (!Parameters.TryGetValue(Unescape(name), out var set))
        {
            throw AdminDatabaseUrl.Fault(
                $"has the parameter '{name}', which is not supported. Remove it; supported are "
                    + $"{string.Join(", ", Parameters.Keys.Order(StringComparer.Ordinal))}."
            );
        }

        try
        {
            set(result, value is { Length: > 0 } ? Unescape(value) : throw new FormatException());
        }
        catch (Exception exception) when (exception is FormatException or OverflowException or ArgumentException)
        {
            throw AdminDatabaseUrl.Fault(
                Unescape(name) == "sslmode"
                    ? "has an sslmode that is none of disable, allow, prefer, require, verify-ca, verify-full."
                    : $"has a value of '{name}' that is not valid. Correct or remove it."
            );
        }
    }

    private static (string Before, string? After) Cut(string text, char separator)
    {
        var index = text.IndexOf(separator);
        return index < 0 ? (text, null) : (text[..index], text[(index + 1)..]);
    }

    // Uri.UnescapeDataString leaves a wrong escape as it is, and the password would be another than the one meant.
    private static string Unescape(string text)
    {
        try
        {
            var bytes = StrictUtf8.GetBytes(text);
            var length = 0;
            for (var i = 0; i < bytes.Length; i++)
            {
                var plain = bytes[i] != '%';
                bytes[length++] = plain ? bytes[i] : Convert.FromHexString(bytes.AsSpan(i + 1, 2))[0];
                i += plain ? 0 : 2;
            }

            var result = StrictUtf8.GetString(bytes, 0, length);
            return result.Contains('\0') ? throw new FormatException() : result;
        }
        catch (Exception exception) when (exception is FormatException or ArgumentException)
        {
            throw AdminDatabaseUrl.Fault($"has a '%' that begins no escape of a character of UTF-8. {Escapes}");
        }
    }

    [GeneratedRegex(
        @"\A(?:(?<postgres>postgres(?:ql)?(?:\+[a-z0-9_]+)?)|[a-z][a-z0-9+.:-]*)://",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant
    )]
    private static partial Regex Scheme();

    // A name, an address, or an IPv6 address in brackets; then a port, which may be empty.
    [GeneratedRegex(
        @"\A(?:\[(?<host>[^\[\]]*)\]|(?<host>[^:\[\]]*))(?::(?<port>[0-9]*))?\z",
        RegexOptions.CultureInvariant
    )]
    private static partial Regex Server();
}
