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

    /// <summary>Calls back with each tenant that was created, changed or deleted; null: any of them may have been.</summary>
    /// <param name="listener">
    /// Called one change after the other, not on the caller's thread, when the store knows it already. It must not block. A
    /// change may be told twice; none is missed.
    /// </param>
    /// <returns>Dispose it to hear no more.</returns>
    /// <remarks>The default never calls: a store whose tenants do not change.</remarks>
    IDisposable OnChange(Action<TenantId?> listener) => NoSubscription.Instance;
}
