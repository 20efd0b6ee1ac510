using System.Buffers;
using System.Data.Common;

namespace NeoCommons.EfCore;

/// <summary>Puts a tenant's schema in the place of the placeholder, where SQL names a schema and nowhere else.</summary>
/// <remarks>
/// The placeholder is a quoted identifier that a dot follows (<see cref="SqlLexer"/>), so what a string, a comment or a
/// longer name holds is never touched. What was not replaced leads nowhere: no schema has the placeholder's name.
/// </remarks>
internal static class QualifiedSql
{
    private const string Quoted = "\"" + SchemaName.Placeholder + "\"";
    private const string Qualifier = Quoted + ".";

    // A command of EF has hundreds of characters, and a longer one costs more to execute than to read.
    private const int LongestKept = 4_096;

    // As many places as are looked for on the stack: a kibibyte.
    private const int Few = 256;

    private static readonly SearchValues<char> Special = SearchValues.Create("'\"$-/");
    private static readonly QualifiedSqlCache Cache = new(sets: 4_096, mostCharacters: 8 * 1024 * 1024);

    /// <summary>The SQL, with the tenant's schema.</summary>
    public static string For(string sql, SchemaName schema) =>
        !sql.Contains(Qualifier, StringComparison.Ordinal) ? sql
        : sql.Length > LongestKept ? Qualify(sql, schema)
        : Cache.Get(sql, schema);

    /// <summary>Gives a command the tenant's schema, and puts what is to be said first before it.</summary>
    public static void Apply(DbCommand command, SchemaName schema, string? prefix)
    {
        var sql = prefix + For(command.CommandText, schema);
        if (!ReferenceEquals(sql, command.CommandText))
        {
            command.CommandText = sql;
        }
    }

    /// <summary>The same as <see cref="For"/>, made anew.</summary>
    public static string Qualify(string sql, SchemaName schema)
    {
        // There cannot be more.
        var most = sql.Length / Qualifier.Length;
        int[]? rented = null;
        Span<int> places = most <= Few ? stackalloc int[Few] : rented = ArrayPool<int>.Shared.Rent(most);
        try
        {
            var found = Find(sql, places);
            return found == 0
                ? sql
                : string.Create(
                    sql.Length + (found * (schema.Quoted.Length - Quoted.Length)),
                    new Replacement(sql, schema.Quoted, places[..found]),
                    static (text, replacement) => replacement.WriteTo(text)
                );
        }
        finally
        {
            if (rented is not null)
            {
                ArrayPool<int>.Shared.Return(rented);
            }
        }
    }

    // Where the placeholder stands for a schema, in order.
    private static int Find(string sql, Span<int> places)
    {
        var found = 0;
        for (var at = 0; (at = Next(sql, at)) < sql.Length; )
        {
            var end = SqlLexer.EndOf(sql, at);
            if (IsPlaceholder(sql, at, end))
            {
                places[found++] = at;
            }

            at = end;
        }

        return found;
    }

    private static int Next(string sql, int from) =>
        sql.AsSpan(from).IndexOfAny(Special) is >= 0 and var found ? from + found : sql.Length;

    private static bool IsPlaceholder(string sql, int at, int end) =>
        sql.AsSpan(at, end - at).SequenceEqual(Quoted)
        && end < sql.Length
        && sql[end] == '.'
        // A column of this name, or an identifier with escapes.
        && (at == 0 || sql[at - 1] is not ('.' or '&'));

    private readonly ref struct Replacement(string sql, string schema, ReadOnlySpan<int> places)
    {
        private readonly ReadOnlySpan<int> _places = places;

        public void WriteTo(Span<char> text)
        {
            var copied = 0;
            foreach (var place in _places)
            {
                sql.AsSpan(copied, place - copied).CopyTo(text);
                text = text[(place - copied)..];
                schema.CopyTo(text);
                text = text[schema.Length..];
                copied = place + Quoted.Length;
            }

            sql.AsSpan(copied).CopyTo(text);
        }
    }
}
