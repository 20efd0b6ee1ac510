namespace NeoCommons.EfCore.Admin;

/// <summary>Tenants that are migrated together, before those of the next ring are begun.</summary>
public sealed record MigrationRing
{
    private MigrationRing(IReadOnlySet<string> slugs, double share) => (Slugs, Share) = (slugs, share);

    internal IReadOnlySet<string> Slugs { get; }

    internal double Share { get; }

    /// <summary>These tenants; one that has nothing to do is left out, one that is not there is refused.</summary>
    /// <param name="slugs">Their slugs; at least one.</param>
    /// <exception cref="ArgumentException">No slug is given.</exception>
    public static MigrationRing OfTenants(params IReadOnlyCollection<string> slugs)
    {
        ArgumentNullException.ThrowIfNull(slugs);
        return slugs.Count > 0
            ? new MigrationRing(slugs.ToHashSet(StringComparer.Ordinal), 0)
            : throw new ArgumentException("A ring of tenants names at least one.", nameof(slugs));
    }

    /// <summary>So many of all tenants that have something to do, earlier rings included: 1, then 10, then 50.</summary>
    /// <param name="percent">Over 0, at most 100. The same tenants come first each time.</param>
    /// <exception cref="ArgumentOutOfRangeException">The number is not such a share.</exception>
    public static MigrationRing OfPercent(double percent) =>
        percent is > 0 and <= 100
            ? new MigrationRing(new HashSet<string>(), percent / 100)
            : throw new ArgumentOutOfRangeException(nameof(percent), percent, "Over 0, at most 100.");
}
