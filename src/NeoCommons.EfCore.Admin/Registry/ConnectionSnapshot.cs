using System.Collections.Frozen;

namespace NeoCommons.EfCore.Admin;

/// <summary>All registered connections as they were read at one moment; immutable.</summary>
internal sealed class ConnectionSnapshot
{
    public ConnectionSnapshot(IReadOnlyList<DatabaseConnection> rows)
    {
        All = rows;
        ByName = rows.ToFrozenDictionary(r => r.Name, StringComparer.Ordinal);
    }

    public IReadOnlyList<DatabaseConnection> All { get; }

    public FrozenDictionary<string, DatabaseConnection> ByName { get; }

    /// <summary>A snapshot of new rows that keeps the instance of each row that has not changed.</summary>
    public ConnectionSnapshot With(IReadOnlyList<DatabaseConnection> rows) =>
        new([.. rows.Select(row => ByName.TryGetValue(row.Name, out var known) && known == row ? known : row)]);
}
