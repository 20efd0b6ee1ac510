using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore;

/// <summary>Makes contexts, each bound to one tenant's schema for its whole life. The caller disposes them.</summary>
/// <typeparam name="TContext">A context registered with <c>AddTenantDbContext</c>.</typeparam>
/// <remarks>
/// <para>
/// Thread-safe, a singleton; a context is not thread-safe, as always in EF Core. Making one talks to no database where
/// tenant and connection are cached; the connection opens at the first command and then reaches that tenant's schema
/// only. What the context's constructor asks for besides its options comes from the root provider, as with
/// <see cref="IDbContextFactory{TContext}"/>.
/// </para>
/// <para>Which tenant a context has cannot be changed. For another tenant, make another context.</para>
/// </remarks>
public interface ITenantDbContextFactory<TContext>
    where TContext : DbContext
{
    /// <summary>Makes a context for the tenant.</summary>
    /// <exception cref="TenantNotFoundException">There is no such tenant.</exception>
    /// <exception cref="TenantUnavailableException">The tenant is not active.</exception>
    /// <exception cref="TenantIsolationException">The context is for tenants of another type (<c>ForTenantTypes</c>).</exception>
    /// <exception cref="ConnectionNotFoundException">The tenant's connection is not registered.</exception>
    /// <exception cref="ConnectionUnavailableException">
    /// The connection is inactive or its row cannot be used. A server that cannot be reached shows at the first command,
    /// with the same exception.
    /// </exception>
    /// <exception cref="SecretDecryptionException">The connection's password cannot be decrypted.</exception>
    ValueTask<TContext> CreateDbContextAsync(TenantId tenant, CancellationToken ct = default);

    /// <summary>Makes a context for the tenant with this slug.</summary>
    /// <inheritdoc cref="CreateDbContextAsync(TenantId, CancellationToken)"/>
    ValueTask<TContext> CreateDbContextAsync(string slug, CancellationToken ct = default);

    /// <summary>
    /// Makes a context that only reads: nothing is tracked by default, <c>SaveChanges</c> throws
    /// <see cref="InvalidOperationException"/>, and the session is read-only, so that any other write is refused by the
    /// server (25006).
    /// </summary>
    /// <inheritdoc cref="CreateDbContextAsync(TenantId, CancellationToken)"/>
    ValueTask<TContext> CreateReadOnlyDbContextAsync(TenantId tenant, CancellationToken ct = default);

    /// <summary>The same for the tenant with this slug.</summary>
    /// <inheritdoc cref="CreateReadOnlyDbContextAsync(TenantId, CancellationToken)"/>
    ValueTask<TContext> CreateReadOnlyDbContextAsync(string slug, CancellationToken ct = default);
}
