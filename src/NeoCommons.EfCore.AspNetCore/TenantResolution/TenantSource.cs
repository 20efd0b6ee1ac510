using Microsoft.AspNetCore.Http;

namespace NeoCommons.EfCore.AspNetCore;

/// <summary>A place in a request where a tenant can be named.</summary>
/// <param name="Description">The place, as the end of a sentence for callers: <c>in header 'X-Tenant'</c>.</param>
/// <param name="Find">The slug that the request names there; null or empty where it names none.</param>
internal sealed record TenantSource(string Description, Func<HttpContext, string?> Find);
