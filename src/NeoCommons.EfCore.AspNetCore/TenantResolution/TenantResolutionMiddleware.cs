using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;

namespace NeoCommons.EfCore.AspNetCore;

/// <summary>Gives the scope of a request the tenant that the request names.</summary>
internal sealed class TenantResolutionMiddleware(RequestDelegate next, TenantSources sources)
{
    public async Task InvokeAsync(HttpContext context, ITenantContext current, ITenantStore tenants)
    {
        // The page that an exception handler executes in place of the request must not fail for the same reason again.
        if (context.Features.Get<IExceptionHandlerFeature>() is null)
        {
            context.Features.Set(sources);
            if (sources.Find(context) is { } slug)
            {
                current.SetTenant(await tenants.GetActiveAsync(slug, context.RequestAborted).ConfigureAwait(false));
            }
        }

        await next(context).ConfigureAwait(false);
    }
}
