using Microsoft.AspNetCore.Http;

namespace NeoCommons.EfCore.AspNetCore;

/// <summary>Where a request names its tenant, by slug. The places are looked at in the order in which they are added.</summary>
/// <remarks>
/// The first place that names a tenant decides: where that tenant is unknown or unavailable, the request fails rather
/// than going on to the next place. A tenant's id is not looked for anywhere.
/// </remarks>
public sealed class TenantResolutionOptions
{
    private readonly List<TenantSource> _sources = [];

    internal TenantSources Sources =>
        _sources.Count > 0
            ? new TenantSources(_sources)
            : throw new InvalidOperationException(
                "UseTenantResolution needs at least one place to look for the tenant, for example "
                    + "UseTenantResolution(o => o.FromSubdomain(\"shop.example\").FromHeader(\"X-Tenant\"))."
            );

    /// <summary>The tenant is the subdomain: <c>acme</c> in <c>acme.shop.example</c>.</summary>
    /// <param name="baseDomain">
    /// The domain above the tenants, for example <c>shop.example</c>, or <c>localhost</c> on a developer's machine.
    /// </param>
    /// <remarks>
    /// Exactly one label counts: <c>shop.example</c> and <c>a.b.shop.example</c> name no tenant, and <c>www.shop.example</c>
    /// names tenant <c>www</c>. Letter case, port and a final dot make no difference. The host is the one that the
    /// request shows here: behind a proxy, put <c>UseForwardedHeaders</c> first.
    /// </remarks>
    /// <exception cref="ArgumentException">It is not a domain name.</exception>
    public TenantResolutionOptions FromSubdomain(string baseDomain) => Add(TenantSubdomain.Of(baseDomain));

    /// <summary>The tenant is in a header.</summary>
    /// <param name="name">The header's name, for example <c>X-Tenant</c>.</param>
    /// <remarks>
    /// An empty value names no tenant; different values are refused with <see cref="TenantNotResolvedException"/>. A
    /// caller chooses the header freely, so check elsewhere that the caller may use that tenant.
    /// </remarks>
    public TenantResolutionOptions FromHeader(string name) => Add(TenantHeader.Named(name));

    /// <summary>The tenant is found by the application: in a claim, a route value, a table of custom domains.</summary>
    /// <param name="description">The place, as callers are told when they name no tenant: <c>in claim 'tenant'</c>.</param>
    /// <param name="find">
    /// The slug that the request names, or null where it names none. Claims are there only after <c>UseAuthentication</c>,
    /// route values only after <c>UseRouting</c>.
    /// </param>
    public TenantResolutionOptions From(string description, Func<HttpContext, string?> find)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(description);
        ArgumentNullException.ThrowIfNull(find);
        return Add(new TenantSource(description, find));
    }

    private TenantResolutionOptions Add(TenantSource source)
    {
        _sources.Add(source);
        return this;
    }
}
