using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.Admin;

/// <summary>Wakes <see cref="RegistryFeed"/> when the registry changes, whoever has changed it.</summary>
/// <remarks>
/// One session that listens. It says nothing of what changed: that is read, and so nothing is missed while nobody listens,
/// nor where notifications do not come through (a transaction pooler before the admin database).
/// </remarks>
internal sealed class RegistryListener(
    AdminDatabase database,
    RegistryFeed feed,
    RegistryMetrics metrics,
    TimeProvider time,
    ILogger<RegistryListener> log
) : BackgroundService
{
    /// <summary>What the triggers of the registry's tables notify.</summary>
    public const string Channel = "neocommons_registry";

    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(10);

    /// <summary>How long nothing may be heard before the session is tried: a cut network says nothing either.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(10);

    private const int AnswerTimeout = 5;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var delay = FirstDelay;
        var isLost = false;
        while (!stoppingToken.IsCancellationRequested)
        {
            var heard = false;
            try
            {
                await ListenAsync(OnListening, stoppingToken).ConfigureAwait(false);
            }
            catch (Exception) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                metrics.IsListening = false;
                delay = heard ? FirstDelay : delay;
                OnLost(e);
                await Task.Delay(delay, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                delay = delay * 2 < LongestDelay ? delay * 2 : LongestDelay;
            }

            void OnListening()
            {
                heard = true;
                if (isLost)
                {
                    RegistryLogMessages.ListenerBack(log);
                }

                isLost = false;
            }
        }

        // An outage of an hour is one stack in the log, and not one for each try.
        void OnLost(Exception e)
        {
            if (isLost)
            {
                RegistryLogMessages.ListenerStillLost(log, e, delay);
            }
            else
            {
                RegistryLogMessages.ListenerLost(log, e, delay);
            }

            isLost = true;
        }
    }

    private async Task ListenAsync(Action onListening, CancellationToken ct)
    {
        var session = await database.OpenUnpooledAsync(ct).ConfigureAwait(false);
        await using var _ = session.ConfigureAwait(false);
        session.Notification += (_, _) => feed.Wake();
        await session.ExecuteAsync("LISTEN " + Channel, ct, AnswerTimeout).ConfigureAwait(false);

        // What happened before was notified to nobody.
        feed.Wake();
        onListening();
        metrics.IsListening = true;
        RegistryLogMessages.Listening(log);
        while (true)
        {
            if (!await session.WaitAsync(Silence, ct).ConfigureAwait(false))
            {
                await session.ExecuteAsync("SELECT 1", ct, AnswerTimeout).ConfigureAwait(false);
            }
        }
    }
}
