namespace NeoCommons.EfCore;

/// <summary>Finds tenants. Replace it to keep tenants somewhere other than the admin database.</summary>
/// <remarks>
/// Thread-safe, a singleton. "Not found" is null; "could not look" is an exception: an implementation never turns the
/// second into the first.
/// </remarks>
public interface ITenantStore
{
    /// <summary>The tenant with this id, whatever its status, or null.</summary>
    ValueTask<Tenant?> FindAsync(TenantId id, CancellationToken ct = default);

    /// <summary>The tenant with this slug (ordinal comparison), whatever its status, or null.</summary>
    ValueTask<Tenant?> FindBySlugAsync(string slug, CancellationToken ct = default);

    /// <summary>All tenants, whatever their status, in any order; streamed, so that memory does not grow with them.</summary>
    IAsyncEnumerable<Tenant> ListAsync(CancellationToken ct = default);
}
