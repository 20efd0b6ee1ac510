using System.Collections.Concurrent;

namespace NeoCommons.EfCore.Admin;

/// <summary>How many relations each database had when they were counted last.</summary>
/// <remarks>
/// To count them the server reads all of its catalog, which has no index for it: 1,000 tenants of 20 tables are 100,000 rows.
/// Whoever creates a fleet would do that for each tenant.
/// </remarks>
internal sealed class RelationCounts(TimeProvider time)
{
    // Others may add relations meanwhile without creating tenants.
    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(1);

    // Not counted again before the tenants have grown by one in so many.
    private const int Growth = 100;

    private readonly ConcurrentDictionary<(string Name, string Host, int Port, string Database), Counted> _last = new();

    /// <summary>Whether a database is so far from its limit that its relations need not be counted again.</summary>
    /// <param name="database">The database, and the row that leads there.</param>
    /// <param name="tenants">How many tenants the row has.</param>
    /// <param name="most">How many relations the database takes.</param>
    public bool IsFarFromFull(DatabaseConnection database, int tenants, int most)
    {
        if (!_last.TryGetValue(KeyOf(database), out var last) || time.GetElapsedTime(last.At) >= Lifetime)
        {
            return false;
        }

        // Half of the room is left for what takes more than those that are there.
        var added = tenants - last.Tenants;
        var each = (double)last.Relations / Math.Max(1, last.Tenants);
        return added <= last.Tenants / Growth && 2 * each * (added + 1) < most - last.Relations;
    }

    /// <summary>When they begin to be counted, for <see cref="Note"/>.</summary>
    public long Begin() => time.GetTimestamp();

    /// <summary>Notes what was counted.</summary>
    public void Note(DatabaseConnection database, int tenants, long relations, long begun) =>
        _last[KeyOf(database)] = new Counted(relations, tenants, begun);

    private static (string, string, int, string) KeyOf(DatabaseConnection database) =>
        (database.Name, database.Host, database.Port, database.Database);

    private sealed record Counted(long Relations, int Tenants, long At);
}
