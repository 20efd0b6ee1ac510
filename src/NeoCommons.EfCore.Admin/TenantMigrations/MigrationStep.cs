using System.Text.RegularExpressions;

namespace NeoCommons.EfCore.Admin;

/// <summary>One migration of one context as SQL, and the history that it is recorded in.</summary>
internal sealed partial record MigrationStep(
    string Id,
    string Context,
    HistoryTable History,
    IReadOnlyList<MigrationStatement> Statements
)
{
    /// <summary>Whether the driver may have to read the types of the database again.</summary>
    public bool MayChangeTypes => Statements.Any(s => Types().IsMatch(s.Sql));

    [GeneratedRegex(@"\b(TYPE|DOMAIN|EXTENSION)\b", RegexOptions.IgnoreCase)]
    private static partial Regex Types();
}
