using System.Buffers;
using System.Data.Common;
using System.Text;

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

    /// <summary>Gives a command the tenant's schema, and puts what is to be said first before it.</summary>
    public static void Apply(DbCommand command, SchemaName schema, string? prefix)
    {
        var sql = prefix + For(command.CommandText, schema);
        if (!ReferenceEquals(sql, command.CommandText))
        {
            command.CommandText = sql;
        }
    }

    private static string Qualify(string sql, string schema)
    {
        var text = new StringBuilder(sql.Length);
        var copied = 0;
        for (var at = 0; (at = Next(sql, at)) < sql.Length; )
        {
            var end = SqlLexer.EndOf(sql, at);
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

    private sealed record Known(string Sql, SchemaName Schema, string Result);
}
