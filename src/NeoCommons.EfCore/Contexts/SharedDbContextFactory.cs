using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore;

internal sealed class SharedDbContextFactory<TContext>(
    DbContextOptions<TContext> options,
    TenantDataSources sources,
    SearchPath searchPath,
    ConnectionOpening opening,
    IServiceProvider services
) : ISharedDbContextFactory<TContext>
    where TContext : DbContext
{
    private readonly ObjectFactory<TContext> _activate = ActivatorUtilities.CreateFactory<TContext>([
        typeof(DbContextOptions<TContext>),
    ]);

    public async ValueTask<TContext> CreateDbContextAsync(string connectionName, CancellationToken ct = default)
    {
        var source = await sources.AcquireAsync(connectionName, ct).ConfigureAwait(false);
        TContext? context = null;
        try
        {
            context = _activate(services, [options]);
            SharedModel.ThrowIfUnfit(context);
            context.GetService<SharedLease>().Begin(context, source, searchPath, opening);
            return context;
        }
        catch
        {
            source.Release();
            context?.Dispose();
            throw;
        }
    }
}
