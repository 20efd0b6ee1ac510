using System.Buffers;
using System.Text;

namespace NeoCommons.EfCore;

/// <summary>Puts a tenant's schema in the place of the placeholder, where SQL names a schema and nowhere else.</summary>
/// <remarks>
/// Reads SQL as PostgreSQL's lexer does
/// (<see href="https://www.postgresql.org/docs/current/sql-syntax-lexical.html">lexical structure</see>): the placeholder is
/// a quoted identifier that a dot follows, so what a string, a comment or a longer name holds is never touched. What was
/// not replaced leads nowhere: no schema has the placeholder's name.
/// </remarks>
internal static class QualifiedSql
{
    private const string Quoted = "\"" + SchemaName.Placeholder + "\"";
    private const string Qualifier = Quoted + ".";

    // Some MiB at most: a command of EF has hundreds of characters, and a longer one costs more to execute than to read.
    private const int Slots = 2_048;
    private const int LongestKept = 4_096;

    private static readonly SearchValues<char> Special = SearchValues.Create("'\"$-/");
    private static readonly Known?[] Cache = new Known?[Slots];

    /// <summary>The SQL, with the tenant's schema.</summary>
    public static string For(string sql, SchemaName schema)
    {
        if (!sql.Contains(Qualifier, StringComparison.Ordinal))
        {
            return sql;
        }

        if (sql.Length > LongestKept)
        {
            return Qualify(sql, schema.Quoted);
        }

        // A slot holds what was asked for last: no lock, no growth, and a collision costs a reading.
        ref var slot = ref Cache[(sql.GetHashCode(StringComparison.Ordinal) ^ schema.GetHashCode()) & (Slots - 1)];
        var known = Volatile.Read(ref slot);
        if (known is null || !known.Schema.Equals(schema) || known.Sql != sql)
        {
            known = new Known(sql, schema, Qualify(sql, schema.Quoted));
            Volatile.Write(ref slot, known);
        }

        return known.Result;
    }

    private static string Qualify(string sql, string schema)
    {
        var text = new StringBuilder(sql.Length);
        var copied = 0;
        for (var at = 0; (at = Next(sql, at)) < sql.Length; )
        {
            var end = EndOf(sql, at);
            if (IsPlaceholder(sql, at, end))
            {
                text.Append(sql, copied, at - copied).Append(schema);
                copied = end;
            }

            at = end;
        }

        return text.Append(sql, copied, sql.Length - copied).ToString();
    }

    private static int Next(string sql, int from) =>
        sql.AsSpan(from).IndexOfAny(Special) is >= 0 and var found ? from + found : sql.Length;

    private static bool IsPlaceholder(string sql, int at, int end) =>
        sql.AsSpan(at, end - at).SequenceEqual(Quoted)
        && end < sql.Length
        && sql[end] == '.'
        // A column of this name, or an identifier with escapes.
        && (at == 0 || sql[at - 1] is not ('.' or '&'));

    /// <summary>Where the token ends that begins here; the next character, if none does.</summary>
    private static int EndOf(string sql, int at) =>
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

    // PostgreSQL takes every character beyond ASCII for a letter.
    private static bool IsOfName(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '$' || c > '\x7f';

    private static bool Follows(string sql, int at, string token) =>
        sql.AsSpan(at).StartsWith(token, StringComparison.Ordinal);

    private sealed record Known(string Sql, SchemaName Schema, string Result);
}
