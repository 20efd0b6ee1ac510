namespace NeoCommons.EfCore;

/// <summary>Something asked for the current tenant, and this scope has none.</summary>
public sealed class TenantNotResolvedException : NeoCommonsException
{
    /// <summary>Makes the exception.</summary>
    public TenantNotResolvedException()
        : base(
            "This scope has no current tenant. In a request, name the tenant as UseTenantResolution expects it; "
                + "in a background job, open the scope with CreateTenantScopeAsync(tenantId); "
                + "elsewhere, pass the tenant to ITenantDbContextFactory."
        ) { }
}
