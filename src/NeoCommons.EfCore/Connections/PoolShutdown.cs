using Microsoft.Extensions.Hosting;

namespace NeoCommons.EfCore;

/// <summary>Closes the pools when the host has stopped everything else: requests and background services have ended by then.</summary>
internal sealed class PoolShutdown(TenantDataSources sources, ServerBudgets servers) : IHostedLifecycleService
{
    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task StoppedAsync(CancellationToken cancellationToken)
    {
        await sources.ShutDownAsync(cancellationToken).ConfigureAwait(false);
        await servers.EndAsync().ConfigureAwait(false);
    }
}
