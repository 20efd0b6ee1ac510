using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore;

/// <summary>Where contexts come from before they have a tenant: made anew, or taken from a pool.</summary>
internal interface IUnboundContexts<TContext>
    where TContext : DbContext
{
    /// <summary>A context without a tenant: it has a model, and cannot open a connection.</summary>
    /// <param name="provider">Serves what the context's constructor asks for besides its options.</param>
    TContext Create(IServiceProvider provider);
}
