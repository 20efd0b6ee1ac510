using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore;

/// <summary>Makes each context anew.</summary>
internal sealed class NewContexts<TContext>(DbContextOptions<TContext> options) : IUnboundContexts<TContext>
    where TContext : DbContext
{
    private readonly ObjectFactory<TContext> _activate = ActivatorUtilities.CreateFactory<TContext>([
        typeof(DbContextOptions<TContext>),
    ]);

    public TContext Create(IServiceProvider provider) => _activate(provider, [options]);
}
