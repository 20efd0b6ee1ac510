using Microsoft.AspNetCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection.Extensions;
using NeoCommons.EfCore;
using NeoCommons.EfCore.AspNetCore;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the responses to exceptions of NeoCommons.</summary>
public static class NeoCommonsProblemDetailsServiceCollectionExtensions
{
    /// <summary>
    /// Answers exceptions of NeoCommons with problem details (RFC 9457), once <c>app.UseExceptionHandler()</c> is in the
    /// pipeline.
    /// </summary>
    /// <remarks>
    /// <para>
    /// 404 for <see cref="TenantNotFoundException"/>; 400 for <see cref="TenantNotResolvedException"/> and
    /// <see cref="InvalidSchemaNameException"/>; 409 for <see cref="TenantConflictException"/>; 429, with
    /// <c>Retry-After</c>, for <see cref="TenantQuotaExceededException"/>; 503, with
    /// <c>Retry-After</c> where known, for <see cref="TenantUnavailableException"/>; 503 for
    /// <see cref="ConnectionUnavailableException"/>, <see cref="ConnectionNotFoundException"/>,
    /// <see cref="SecretDecryptionException"/> and a connection that broke under a command; 504 for a statement that the server
    /// has cancelled (57014, 55P03), as <c>statement_timeout</c> and <c>lock_timeout</c> do; 500 for
    /// <see cref="TenantIsolationException"/>. Other exceptions are left to other handlers.
    /// </para>
    /// <para>
    /// Responses are safe to show to anybody; the exception itself is in the log: as an error for 500, a warning for
    /// 503 and 504, for debugging otherwise. Of a tenant that is not available, which is no fault, and of a connection whose circuit
    /// breaker is open, which has been told, only the reason is, as information, once a minute for each tenant and connection and
    /// for debugging otherwise. The <c>type</c> of a problem, for example
    /// <c>urn:neocommons:tenant-not-found</c>, stays the same over versions; texts may change.
    /// </para>
    /// </remarks>
    public static IServiceCollection AddNeoCommonsProblemDetails(this IServiceCollection services)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.AddProblemDetails();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IExceptionHandler, NeoCommonsExceptionHandler>());
        return services;
    }
}
