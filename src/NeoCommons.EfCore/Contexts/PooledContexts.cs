using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;

namespace NeoCommons.EfCore;

/// <summary>Takes contexts from EF's own pool, and gives them back when they are disposed.</summary>
internal sealed class PooledContexts<TContext>(DbContextOptions<TContext> options, int size)
    : IUnboundContexts<TContext>
    where TContext : DbContext
{
    private readonly PooledDbContextFactory<TContext> _pool = new(options, size);

    // A pooled context outlives the scope that asks for it, so nothing of that scope goes into it.
    public TContext Create(IServiceProvider provider) => _pool.CreateDbContext();
}
