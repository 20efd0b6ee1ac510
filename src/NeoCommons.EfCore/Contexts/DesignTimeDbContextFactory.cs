using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore;

/// <summary>EF's own factory for EF's tools, which want a model and have no tenant.</summary>
/// <remarks>Asks for no tenant store and no registry: migrations are added on machines that have no database.</remarks>
internal sealed class DesignTimeDbContextFactory<TContext>(
    DbContextOptions<TContext> options,
    IServiceProvider services
) : IDbContextFactory<TContext>
    where TContext : DbContext
{
    public TContext CreateDbContext() => ActivatorUtilities.CreateInstance<TContext>(services, options);
}
