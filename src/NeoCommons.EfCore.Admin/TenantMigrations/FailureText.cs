using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>What is kept of an exception in the registry: what happened, and no row's values.</summary>
internal static class FailureText
{
    private const int Longest = 1_000;

    public static string Of(Exception e)
    {
        // A PostgresException's Message has the detail too, which quotes the row that was in the way.
        var text = e is PostgresException p ? $"{p.SqlState}: {p.MessageText}" : e.Message;
        if (e.Data["Migration"] is string migration)
        {
            text = $"{migration}: {text}";
        }

        text = text.Replace('\0', ' ');
        return text.Length <= Longest ? text
            : char.IsHighSurrogate(text[Longest - 1]) ? text[..(Longest - 1)]
            : text[..Longest];
    }
}
