using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore;
using NeoCommons.EfCore.AspNetCore;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Adds tenants to requests.</summary>
public static class TenantResolutionApplicationBuilderExtensions
{
    /// <summary>Sets the current tenant of each request that names one.</summary>
    /// <param name="app">The application.</param>
    /// <param name="configure">Where requests name their tenant: at least one place.</param>
    /// <remarks>
    /// <para>
    /// Put it after <c>UseExceptionHandler</c> and <c>UseForwardedHeaders</c>, and before whatever uses the tenant. A
    /// request that names none goes on without one; whoever then asks for the tenant's context gets
    /// <see cref="TenantNotResolvedException"/>.
    /// </para>
    /// <para>
    /// An unknown tenant is <see cref="TenantNotFoundException"/>, one that is not active
    /// <see cref="TenantUnavailableException"/>; <c>AddNeoCommonsProblemDetails</c> turns them into responses.
    /// </para>
    /// </remarks>
    /// <exception cref="InvalidOperationException">
    /// No place was named, or no <see cref="ITenantStore"/> is registered.
    /// </exception>
    public static IApplicationBuilder UseTenantResolution(
        this IApplicationBuilder app,
        Action<TenantResolutionOptions> configure
    )
    {
        ArgumentNullException.ThrowIfNull(app);
        ArgumentNullException.ThrowIfNull(configure);
        if (app.ApplicationServices.GetService<IServiceProviderIsService>() is { } services)
        {
            if (!services.IsService(typeof(ITenantContext)) || !services.IsService(typeof(ITenantStore)))
            {
                throw new InvalidOperationException(
                    "UseTenantResolution needs tenants: call services.AddNeoCommons(configuration).UseAdminDatabase(), or "
                        + "AddNeoCommons and register an ITenantStore of your own."
                );
            }
        }

        var options = new TenantResolutionOptions();
        configure(options);
        return app.UseMiddleware<TenantResolutionMiddleware>(options.Sources);
    }
}
