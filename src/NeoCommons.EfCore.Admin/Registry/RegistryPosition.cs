using System.Globalization;

namespace NeoCommons.EfCore.Admin;

/// <summary>Up to where the changes of the registry are known.</summary>
/// <param name="Snapshot">The server's snapshot (<c>pg_snapshot</c>): what it did not see is what comes next.</param>
/// <param name="ReadAt">When it was taken, by the server's clock.</param>
/// <param name="StartedAt">When that server was started: one that took its place gives the same numbers to other transactions.</param>
internal sealed record RegistryPosition(string Snapshot, DateTimeOffset ReadAt, DateTimeOffset StartedAt)
{
    /// <summary>The first transaction that had not begun.</summary>
    public long NextTransaction => long.Parse(Snapshot.Split(':')[1], CultureInfo.InvariantCulture);
}
