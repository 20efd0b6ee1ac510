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
    /// <summary>Whether a transaction can hold all of it.</summary>
    public bool IsTransactional => Statements.All(s => s.IsTransactional);

    /// <summary>Whether the driver may have to read the types of the database again.</summary>
    public bool MayChangeTypes => Statements.Any(s => Types().IsMatch(s.Sql));

    /// <summary>Refuses what cannot be executed safely where only a transaction holds a session together.</summary>
    /// <exception cref="InvalidOperationException">A step has a statement that no transaction may hold.</exception>
    public static void ThrowIfNotTransactional(IEnumerable<MigrationStep> steps, DatabaseConnection row)
    {
        if (steps.FirstOrDefault(step => !step.IsTransactional) is { } odd)
        {
            throw new InvalidOperationException(
                $"Migration '{odd.Id}' of {odd.Context} has a statement that cannot run in a transaction, and behind the "
                    + $"transaction pooler of connection '{row.Name}' nothing else keeps to one schema. Nothing was changed. "
                    + "Point the row at PostgreSQL itself while you migrate (host, port, pooler 'none')."
            );
        }
    }

    [GeneratedRegex(@"\b(TYPE|DOMAIN|EXTENSION)\b", RegexOptions.IgnoreCase)]
    private static partial Regex Types();
}
