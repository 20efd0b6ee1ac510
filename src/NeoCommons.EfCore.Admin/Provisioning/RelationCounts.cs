using System.Collections.Concurrent;

namespace NeoCommons.EfCore.Admin;

/// <summary>How many relations each database had when they were counted last.</summary>
/// <remarks>
/// To count them the server reads all of its catalog, which has no index for it: 1,000 tenants of 20 tables are 100,000 rows.
/// Whoever creates a fleet would do that for each tenant.
/// </remarks>
internal sealed class RelationCounts(TimeProvider time)
{
    // What others put there meanwhile, who create no tenants.
    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(1);

    // From this part of the limit on they are counted for each tenant.
    private const double Close = 0.8;

    // By one in so many the tenants may have become more.
    private const int Growth = 100;

    private readonly ConcurrentDictionary<(string Host, int Port, string Database), Counted> _last = new();

    /// <summary>Whether a database is so far from its limit that they need not be counted again.</summary>
    /// <param name="database">The database.</param>
    /// <param name="tenants">How many tenants it has.</param>
    /// <param name="most">How many relations it takes.</param>
    public bool IsFarFromFull(DatabaseConnection database, int tenants, int most) =>
        _last.TryGetValue(KeyOf(database), out var last)
        && time.GetElapsedTime(last.At) < Lifetime
        && tenants - last.Tenants <= last.Tenants / Growth
        && last.Relations < most * Close;

    /// <summary>Notes what was counted.</summary>
    public void Note(DatabaseConnection database, int tenants, long relations) =>
        _last[KeyOf(database)] = new Counted(relations, tenants, time.GetTimestamp());

    private static (string, int, string) KeyOf(DatabaseConnection database) =>
        (database.Host, database.Port, database.Database);

    private sealed record Counted(long Relations, int Tenants, long At);
}
