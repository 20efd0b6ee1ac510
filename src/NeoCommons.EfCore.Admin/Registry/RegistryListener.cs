using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.Admin;

/// <summary>Makes a changed row of the registry take effect in this process at once, whoever has changed it.</summary>
/// <remarks>
/// One session that listens. What changed while nobody listened is unknown, so each new session begins with reading all
/// again; <see cref="RegistryRefresh"/> goes on beside it, for where notifications do not come through (a transaction
/// pooler before the admin database).
/// </remarks>
internal sealed class RegistryListener(
    AdminDatabase database,
    AdminConnectionRegistry connections,
    AdminTenantStore tenants,
    TimeProvider time,
    ILogger<RegistryListener> log
) : BackgroundService
{
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(10);

    /// <summary>How long nothing may be heard before the session is tried: a cut network says nothing either.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(10);

    private const int AnswerTimeout = 5;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var delay = FirstDelay;
        while (!stoppingToken.IsCancellationRequested)
        {
            var heard = false;
            try
            {
                await ListenAsync(() => heard = true, stoppingToken).ConfigureAwait(false);
            }
            catch (Exception) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                delay = heard ? FirstDelay : delay;
                RegistryLogMessages.ListenerLost(log, e, delay);
                await Task.Delay(delay, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                delay = delay * 2 < LongestDelay ? delay * 2 : LongestDelay;
            }
        }
    }

    private async Task ListenAsync(Action onListening, CancellationToken ct)
    {
        var session = await database.OpenUnpooledAsync(ct).ConfigureAwait(false);
        await using var _ = session.ConfigureAwait(false);
        var heard = new ConcurrentQueue<RegistryNotification>();
        session.Notification += (_, e) => heard.Enqueue(RegistryNotification.Parse(e.Payload));
        await session.ExecuteAsync("LISTEN " + RegistryNotification.Channel, ct, AnswerTimeout).ConfigureAwait(false);

        await ReloadAllAsync(ct).ConfigureAwait(false);
        onListening();
        RegistryLogMessages.Listening(log);
        while (true)
        {
            await TakeInAsync(heard, ct).ConfigureAwait(false);
            if (!await session.WaitAsync(Silence, ct).ConfigureAwait(false))
            {
                await session.ExecuteAsync("SELECT 1", ct, AnswerTimeout).ConfigureAwait(false);
            }
        }
    }

    private async Task TakeInAsync(ConcurrentQueue<RegistryNotification> heard, CancellationToken ct)
    {
        var (reload, forgetAll) = (false, false);
        while (heard.TryDequeue(out var notification))
        {
            if (notification.Tenant is { } tenant)
            {
                tenants.Forget(tenant, notification.Slugs);
            }
            else
            {
                reload = true;
                forgetAll |= !notification.IsKnown;
            }
        }

        if (forgetAll)
        {
            await tenants.ForgetAsync(ct).ConfigureAwait(false);
        }

        if (reload)
        {
            await connections.ReloadAsync(ct).ConfigureAwait(false);
        }
    }

    private async Task ReloadAllAsync(CancellationToken ct)
    {
        await tenants.ForgetAsync(ct).ConfigureAwait(false);
        await connections.ReloadAsync(ct).ConfigureAwait(false);
    }
}
