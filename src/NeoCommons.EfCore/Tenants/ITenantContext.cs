namespace NeoCommons.EfCore;

/// <summary>The tenant of the current DI scope: of a request, a message, a job.</summary>
/// <remarks>
/// A scoped service, so it never flows into another scope by itself: no static, no <c>AsyncLocal</c>. It is set once,
/// by the request middleware or by <c>CreateTenantScopeAsync</c>.
/// </remarks>
public interface ITenantContext
{
    /// <summary>The current tenant, or null where the scope has none.</summary>
    Tenant? Tenant { get; }

    /// <summary>Sets the tenant of the scope, once.</summary>
    /// <exception cref="TenantIsolationException">The scope has another tenant already.</exception>
    void SetTenant(Tenant tenant);
}
