namespace NeoCommons.EfCore;

internal sealed class TenantContext : ITenantContext
{
    private Tenant? _tenant;

    public Tenant? Tenant => ModelBuilding.Read(_tenant);

    public void SetTenant(Tenant tenant)
    {
        ArgumentNullException.ThrowIfNull(tenant);
        var earlier = Interlocked.CompareExchange(ref _tenant, tenant, null);
        if (earlier is not null && earlier.Id != tenant.Id)
        {
            throw new TenantIsolationException(
                $"This scope belongs to tenant '{earlier.Slug}' and cannot become tenant '{tenant.Slug}'. "
                    + "Open a scope for the other tenant with CreateTenantScopeAsync.",
                earlier.Id,
                tenant.Id
            );
        }
    }
}
