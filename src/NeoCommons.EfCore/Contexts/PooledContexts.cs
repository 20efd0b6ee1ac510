using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;

namespace NeoCommons.EfCore;

/// <summary>Takes contexts from EF's own pool, and gives them back when they are disposed.</summary>
internal sealed class PooledContexts<TContext> : IUnboundContexts<TContext>
    where TContext : DbContext
{
    private readonly PooledDbContextFactory<TContext> _pool;

    /// <summary>Makes the pool.</summary>
    /// <exception cref="InvalidOperationException">Each tenant has a model of its own.</exception>
    public PooledContexts(DbContextOptions<TContext> options, int size)
    {
        if (options.FindExtension<TenantOptionsExtension>()!.Settings.HasModelPerSchema)
        {
            throw new InvalidOperationException(
                $"A pooled context keeps its first model, so the next tenant of {typeof(TContext).Name} would be read and written "
                    + "with another tenant's. Register it with AddTenantDbContext, or leave ModelPerSchema() out."
            );
        }

        _pool = new PooledDbContextFactory<TContext>(options, size);
    }

    // A pooled context outlives the scope that asks for it, so nothing of that scope goes into it.
    public TContext Create(IServiceProvider provider, Tenant tenant) => _pool.CreateDbContext();
}
