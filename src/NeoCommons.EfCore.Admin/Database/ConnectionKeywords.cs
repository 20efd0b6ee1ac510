using System.Data.Common;
using System.Text.RegularExpressions;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Reads <c>Host=...;Username=...;Password=...</c>.</summary>
internal static partial class ConnectionKeywords
{
    internal static NpgsqlConnectionStringBuilder Parse(string text)
    {
        var result = new NpgsqlConnectionStringBuilder();
        foreach (var (keyword, value) in Split(text))
        {
            if (!result.ContainsKey(keyword))
            {
                throw Unknown(keyword, text);
            }

            try
            {
                result[keyword] = value;
            }
            catch (ArgumentException)
            {
                // Not as the inner exception: it shows the value.
                throw AdminDatabaseUrl.Fault(
                    $"gives '{keyword}' a value that Npgsql does not take. See https://www.npgsql.org/doc/connection-string-parameters.html."
                );
            }
        }

        return result;
    }

    private static IEnumerable<(string Keyword, object Value)> Split(string text)
    {
        var pairs = new DbConnectionStringBuilder();
        try
        {
            pairs.ConnectionString = text;
        }
        catch (ArgumentException)
        {
            throw AdminDatabaseUrl.Fault(
                "is neither a URL (postgresql://...) nor keywords (Host=...;Username=...). "
                    + "A value that holds ';' or a quote stands in quotes: Password='...'."
            );
        }

        return pairs.Keys.Cast<string>().Select(keyword => (keyword, pairs[keyword]));
    }

    private static FormatException Unknown(string keyword, string text)
    {
        // After the password, it may be the rest of one that holds a ';'.
        var password = PasswordKeyword().Match(text);
        var nameable =
            !password.Success || text.LastIndexOf(keyword, StringComparison.OrdinalIgnoreCase) <= password.Index;
        return AdminDatabaseUrl.Fault(
            nameable
                ? $"has the keyword '{keyword}', which Npgsql does not know. Correct or remove it."
                : "has a keyword after the password that Npgsql does not know; it is not shown, since it may belong to "
                    + "the password. A password that holds ';' stands in quotes: Password='...'. Otherwise correct or "
                    + "remove the keyword."
        );
    }

    [GeneratedRegex("pass|pwd|psw", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex PasswordKeyword();
}
