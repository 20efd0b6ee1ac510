namespace NeoCommons.EfCore;

/// <summary>
/// Reads SQL as PostgreSQL's lexer does
/// (<see href="https://www.postgresql.org/docs/current/sql-syntax-lexical.html">lexical structure</see>).
/// </summary>
internal static class SqlLexer
{
    /// <summary>Where the quoted name, the string or the comment ends that begins here; the next character, if none does.</summary>
    public static int EndOf(string sql, int at) =>
        sql[at] switch
        {
            '"' => EndOfQuoted(sql, at, '"', escapes: false),
            '\'' => EndOfQuoted(sql, at, '\'', HasEscapes(sql, at)),
            '-' when Follows(sql, at, "--") => EndOfLine(sql, at),
            '/' when Follows(sql, at, "/*") => EndOfComment(sql, at),
            '$' => EndOfDollarQuoted(sql, at),
            _ => at + 1,
        };

    private static int EndOfQuoted(string sql, int at, char quote, bool escapes)
    {
        for (var i = at + 1; i < sql.Length; i++)
        {
            if (escapes && sql[i] == '\\')
            {
                i++;
            }
            else if (sql[i] == quote)
            {
                // Doubled, it stands for itself.
                if (i + 1 == sql.Length || sql[i + 1] != quote)
                {
                    return i + 1;
                }

                i++;
            }
        }

        return sql.Length;
    }

    // E'...'
    private static bool HasEscapes(string sql, int at) =>
        at > 0 && sql[at - 1] is 'E' or 'e' && (at == 1 || !IsOfName(sql[at - 2]));

    private static int EndOfLine(string sql, int at) =>
        sql.AsSpan(at).IndexOfAny('\n', '\r') is >= 0 and var length ? at + length : sql.Length;

    // Comments nest.
    private static int EndOfComment(string sql, int at)
    {
        var depth = 0;
        for (var i = at; i + 1 < sql.Length; i++)
        {
            if (Follows(sql, i, "/*"))
            {
                depth++;
                i++;
            }
            else if (Follows(sql, i, "*/"))
            {
                i++;
                if (--depth == 0)
                {
                    return i + 1;
                }
            }
        }

        return sql.Length;
    }

    // $tag$...$tag$, and $$...$$; not $1, and not a$b$.
    private static int EndOfDollarQuoted(string sql, int at)
    {
        if (at > 0 && IsOfName(sql[at - 1]))
        {
            return at + 1;
        }

        var end = at + 1;
        while (end < sql.Length && sql[end] != '$' && IsOfName(sql[end]))
        {
            end++;
        }

        if (end == sql.Length || sql[end] != '$' || char.IsAsciiDigit(sql[at + 1]))
        {
            return at + 1;
        }

        var tag = sql[at..(end + 1)];
        return sql.IndexOf(tag, end + 1, StringComparison.Ordinal) is >= 0 and var close
            ? close + tag.Length
            : sql.Length;
    }

    /// <summary>Whether a name that is not quoted may hold it: PostgreSQL takes every character beyond ASCII for a letter.</summary>
    public static bool IsOfName(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '$' || c > '\x7f';

    private static bool Follows(string sql, int at, string token) =>
        sql.AsSpan(at).StartsWith(token, StringComparison.Ordinal);
}
