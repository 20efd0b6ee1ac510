using System.Text.RegularExpressions;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>What is kept of an exception in the registry: what happened, and no row's values.</summary>
internal static partial class FailureText
{
    private const int Longest = 1_000;

    public static string Of(Exception e)
    {
        // A PostgresException's Message has the detail too, which quotes the row that was in the way.
        var text = e is PostgresException p ? $"{p.SqlState}: {WithoutValues(p)}" : e.Message;
        if (e.Data["Migration"] is string migration)
        {
            text = $"{migration}: {text}";
        }

        text = text.Replace('\0', ' ');
        return text.Length <= Longest ? text
            : char.IsHighSurrogate(text[Longest - 1]) ? text[..(Longest - 1)]
            : text[..Longest];
    }

    // Class 22 is about values, and its messages quote them: invalid input syntax for type integer: "...".
    private static string WithoutValues(PostgresException e) =>
        e.SqlState.StartsWith("22", StringComparison.Ordinal)
            ? Quoted.Replace(e.MessageText, "\"...\"")
            : e.MessageText;

    [GeneratedRegex("\".*\"", RegexOptions.Singleline | RegexOptions.CultureInvariant)]
    private static partial Regex Quoted { get; }
}
