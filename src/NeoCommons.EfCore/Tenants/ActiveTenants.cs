namespace NeoCommons.EfCore;

/// <summary>Finds a tenant that can be used now; there is no other way to a tenant's data.</summary>
internal static class ActiveTenants
{
    public static async ValueTask<Tenant> GetActiveAsync(
        this ITenantStore tenants,
        TenantId id,
        CancellationToken ct
    ) =>
        (
            await tenants.FindAsync(id, ct).ConfigureAwait(false) ?? throw new TenantNotFoundException(id)
        ).ThrowIfNotActive();

    public static async ValueTask<Tenant> GetActiveAsync(this ITenantStore tenants, string slug, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(slug);
        var tenant = TenantSlug.IsValid(slug) ? await tenants.FindBySlugAsync(slug, ct).ConfigureAwait(false) : null;
        return (tenant ?? throw new TenantNotFoundException(slug)).ThrowIfNotActive();
    }

    public static Tenant ThrowIfNotActive(this Tenant tenant) =>
        tenant.Status == TenantStatus.Active ? tenant : throw new TenantUnavailableException(tenant);
}
