using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore;

/// <summary>Has a pool of several servers take the place of one that was given up.</summary>
internal static class HostSuccession
{
    /// <summary>Makes the pool, and has it look: servers are looked at as long as there is a pool, and nobody may ask for one for hours.</summary>
    public static async Task LookOnAsync(this TenantDataSources sources, string name, ILogger log)
    {
        try
        {
            var next = await sources.AcquireAsync(name, CancellationToken.None).ConfigureAwait(false);
            next.Hosts?.Start();
            next.Release();
        }
        catch (Exception e) when (e is NeoCommonsException or ObjectDisposedException)
        {
            // The process ends, or the row is gone or not to be used: whoever asks next is told so.
        }
        catch (Exception e)
        {
            LogMessages.ChangeNotFollowed(log, e, name);
        }
    }
}
