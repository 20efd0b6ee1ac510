namespace NeoCommons.EfCore.Admin;

/// <summary>Chooses the database of a new tenant that names none.</summary>
/// <remarks>
/// A singleton; replace it before or after <c>UseAdminDatabase</c>. <value>Default: of the connections of the tenant's
/// region, or of all where it has none, the one with the fewest tenants.</value>
/// </remarks>
public interface ITenantPlacement
{
    /// <summary>Chooses.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="candidates">
    /// The active SHARED connections that accept tenants and have room, ordered by name; never empty.
    /// </param>
    /// <param name="ct">Cancels.</param>
    /// <returns>The name of one of them; null if none is right.</returns>
    ValueTask<string?> ChooseAsync(
        NewTenant tenant,
        IReadOnlyList<PlacementCandidate> candidates,
        CancellationToken ct = default
    );
}
