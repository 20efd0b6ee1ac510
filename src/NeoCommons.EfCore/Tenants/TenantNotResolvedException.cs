namespace NeoCommons.EfCore;

/// <summary>Which tenant is meant is not known: the scope has none, or a request names several.</summary>
public sealed class TenantNotResolvedException : NeoCommonsException
{
    /// <summary>Something asked for the current tenant, and this scope has none.</summary>
    public TenantNotResolvedException()
        : this(
            "This scope has no current tenant. In a request, name the tenant as UseTenantResolution expects it; "
                + "in a background job, open the scope with CreateTenantScopeAsync(tenantId); "
                + "elsewhere, pass the tenant to ITenantDbContextFactory."
        ) { }

    /// <summary>Makes the exception.</summary>
    /// <param name="message">Why the tenant is not known, and what to do.</param>
    public TenantNotResolvedException(string message)
        : base(message) { }
}
