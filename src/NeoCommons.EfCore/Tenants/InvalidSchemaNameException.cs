using System.Globalization;

namespace NeoCommons.EfCore;

/// <summary>A text cannot be a schema name or a tenant's slug.</summary>
public sealed class InvalidSchemaNameException : NeoCommonsException
{
    private const int LongestShown = 80;

    /// <summary>Makes the exception.</summary>
    /// <param name="name">The refused text.</param>
    /// <param name="reason">Why it was refused, as the end of a sentence.</param>
    public InvalidSchemaNameException(string name, string reason)
        : base($"'{Show(name)}' cannot be used as a schema name or slug: {reason}.")
    {
        Name = name;
        Reason = reason;
    }

    /// <summary>The refused text, whole.</summary>
    public string Name { get; }

    /// <summary>Why it was refused.</summary>
    public string Reason { get; }

    // The text comes from outside: a log line shows its beginning, and nothing of it that breaks a line or turns it round.
    private static string Show(string name)
    {
        var start = name.Length > LongestShown ? name[..LongestShown] + "…" : name;
        return string.Concat(start.Select(c => IsHarmless(c) ? c : '?'));
    }

    private static bool IsHarmless(char c) =>
        char.GetUnicodeCategory(c)
            is not (
                UnicodeCategory.Control
                or UnicodeCategory.Format
                or UnicodeCategory.LineSeparator
                or UnicodeCategory.ParagraphSeparator
                or UnicodeCategory.Surrogate
            );
}
