using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore;

/// <summary>Makes contexts of the tables that all tenants of a database share. The caller disposes them.</summary>
/// <typeparam name="TContext">A context registered with <c>AddSharedDbContext</c>.</typeparam>
/// <remarks>
/// Thread-safe, a singleton. Each command names the shared schema, and the session is bound to nobody: a name that SQL of
/// your own does not qualify is not found, and never a tenant's. Each database has shared tables of its own: what every
/// tenant is to see is written to each.
/// </remarks>
public interface ISharedDbContextFactory<TContext>
    where TContext : DbContext
{
    /// <summary>Makes a context for the shared tables of a registered database.</summary>
    /// <exception cref="ConnectionNotFoundException">There is no such row.</exception>
    /// <exception cref="ConnectionUnavailableException">
    /// The connection is inactive or its row cannot be used. A server that cannot be reached shows at the first command,
    /// with the same exception.
    /// </exception>
    /// <exception cref="SecretDecryptionException">The connection's password cannot be decrypted.</exception>
    /// <exception cref="InvalidOperationException">The model names a schema that is not shared.</exception>
    ValueTask<TContext> CreateDbContextAsync(string connectionName, CancellationToken ct = default);
}
