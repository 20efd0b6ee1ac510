using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;

namespace NeoCommons.EfCore;

/// <summary>Takes contexts from EF's own pool, and gives them back when they are disposed; more than it keeps are made anew.</summary>
/// <remarks>
/// A context that EF's pool has no room for is never disposed, nor is any service of it (EF Core 10: DbContext.Dispose marks it as
/// disposed before the pool disposes it), and its lease would last for ever. So no more than it keeps are taken from it, and it is
/// not told how many that are.
/// </remarks>
internal sealed class PooledContexts<TContext> : IUnboundContexts<TContext>
    where TContext : DbContext
{
    private readonly PooledDbContextFactory<TContext> _pool;
    private readonly NewContexts<TContext> _more;
    private readonly int _size;
    private readonly Action _giveBack;
    private int _taken;

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

        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);

        // A context that changes its options is refused by EF's pool, and so is one of the others.
        options.Freeze();
        _pool = new PooledDbContextFactory<TContext>(options, int.MaxValue);
        _more = new NewContexts<TContext>(options);
        _size = size;
        _giveBack = () => Interlocked.Decrement(ref _taken);
    }

    // A pooled context outlives the scope that asks for it, so nothing of that scope goes into it.
    public TContext Create(IServiceProvider provider, Tenant tenant)
    {
        if (Interlocked.Increment(ref _taken) > _size)
        {
            _giveBack();
            return _more.Create(provider, tenant);
        }

        TContext? context = null;
        try
        {
            context = _pool.CreateDbContext();
            context.GetService<LeaseEnd>().Tell(_giveBack);
            return context;
        }
        catch
        {
            context?.Dispose();
            _giveBack();
            throw;
        }
    }
}
