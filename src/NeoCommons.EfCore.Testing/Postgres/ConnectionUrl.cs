using Npgsql;

namespace NeoCommons.EfCore.Testing;

/// <summary>Reads a server's address in either of its two spellings.</summary>
internal static class ConnectionUrl
{
    /// <exception cref="ArgumentException">It is neither a connection string nor a <c>postgresql://</c> URL.</exception>
    public static NpgsqlConnectionStringBuilder Parse(string text)
    {
        if (
            !text.StartsWith("postgresql://", StringComparison.OrdinalIgnoreCase)
            && !text.StartsWith("postgres://", StringComparison.OrdinalIgnoreCase)
        )
        {
            return new NpgsqlConnectionStringBuilder(text);
        }

        // The text may hold a password: it must not become part of a message.
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Host.Length == 0)
        {
            throw new ArgumentException(
                "Not a postgresql:// URL of the form postgresql://user:password@host:port/database."
            );
        }

        var login = url.UserInfo.Split(':', 2);
        var builder = new NpgsqlConnectionStringBuilder
        {
            Host = url.Host.Trim('[', ']'),
            Port = url.Port > 0 ? url.Port : 5432,
            Username = login[0].Length == 0 ? null : Uri.UnescapeDataString(login[0]),
            Password = login.Length == 1 ? null : Uri.UnescapeDataString(login[1]),
            Database = url.AbsolutePath.Length > 1 ? Uri.UnescapeDataString(url.AbsolutePath[1..]) : "postgres",
        };
        foreach (var pair in url.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var (key, value) = pair.Split('=', 2) is [var k, var v] ? (k, Uri.UnescapeDataString(v)) : (pair, "");

            // libpq writes verify-full, Npgsql VerifyFull.
            builder[key] = key == "sslmode" ? value.Replace("-", "", StringComparison.Ordinal) : value;
        }

        return builder;
    }
}
