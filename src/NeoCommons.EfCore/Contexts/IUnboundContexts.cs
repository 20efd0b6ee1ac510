using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore;

/// <summary>Where contexts come from before they are bound to their tenant: made anew, or taken from a pool.</summary>
internal interface IUnboundContexts<TContext>
    where TContext : DbContext
{
    /// <summary>A context that cannot open a connection yet.</summary>
    /// <param name="provider">Serves what the context's constructor asks for besides its options.</param>
    /// <param name="tenant">The tenant that it will be bound to: its model may be that tenant's.</param>
    TContext Create(IServiceProvider provider, Tenant tenant);
}
