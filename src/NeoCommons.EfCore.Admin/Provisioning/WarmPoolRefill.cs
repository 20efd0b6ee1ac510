using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>Keeps schemas ready for new tenants, at the newest migration.</summary>
internal sealed class WarmPoolRefill(
    IDbContextFactory<AdminDbContext> contexts,
    WarmSchemas warm,
    WarmSchemaStock stock,
    IOptions<WarmPoolOptions> options,
    TimeProvider time,
    ILogger<WarmPoolRefill> log
) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.Value.Size == 0)
        {
            return;
        }

        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await RefillAllAsync(stoppingToken).ConfigureAwait(false);
                await warm.Taken.WaitAsync(options.Value.RefillInterval, time, stoppingToken).ConfigureAwait(false);
            }
            catch (Exception) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                LifecycleLogMessages.RefillFailed(log, e, "all");
                await Task.Delay(options.Value.RefillInterval, time, stoppingToken)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>Looks after each database; one that fails does not stop the others.</summary>
    private async Task RefillAllAsync(CancellationToken ct)
    {
        foreach (var name in await ListAsync(ct).ConfigureAwait(false))
        {
            try
            {
                await stock.RefillAsync(name, ct).ConfigureAwait(false);
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                LifecycleLogMessages.RefillFailed(log, e, name);
            }
        }
    }

    private async Task<IReadOnlyList<string>> ListAsync(CancellationToken ct)
    {
        if (options.Value.Connections.Any(c => !string.IsNullOrEmpty(c)))
        {
            return [.. options.Value.Connections.Where(c => !string.IsNullOrEmpty(c))];
        }

        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        return await context
            .DatabaseConnections.Where(c => c.IsActive && c.AcceptsTenants && c.ConnectionType == ConnectionType.Shared)
            .Where(c => !context.DatabaseConnections.Any(o => o.FailoverConnection == c.ConnectionName))
            .OrderBy(c => c.ConnectionName)
            .Select(c => c.ConnectionName)
            .ToListAsync(ct)
            .ConfigureAwait(false);
    }
}
