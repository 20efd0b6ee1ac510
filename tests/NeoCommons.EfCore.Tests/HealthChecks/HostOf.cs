using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.HealthChecks;

/// <summary>Starts the services of an application as its host would.</summary>
internal static class HostOf
{
    public static async Task StartAsync(RuntimeApp app, CancellationToken ct)
    {
        foreach (var service in app.Services.GetServices<IHostedService>())
        {
            await service.StartAsync(ct);
        }
    }

    public static async Task StopAsync(RuntimeApp app)
    {
        foreach (var service in app.Services.GetServices<IHostedService>())
        {
            await service.StopAsync(CancellationToken.None);
        }
    }

    /// <summary>Tells them that all have started.</summary>
    public static async Task EndStartAsync(RuntimeApp app, CancellationToken ct)
    {
        foreach (var service in app.Services.GetServices<IHostedService>().OfType<IHostedLifecycleService>())
        {
            await service.StartedAsync(ct);
        }
    }
}
