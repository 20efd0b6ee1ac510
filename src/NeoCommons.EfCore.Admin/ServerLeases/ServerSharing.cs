using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>Agrees with other processes on who has how many connections of each server, for as long as the host runs.</summary>
/// <remarks>
/// While the admin database cannot be asked, each keeps what it had: one that is cut off alone may then have, together with the
/// others, more than the server gives, and the server says so.
/// </remarks>
internal sealed class ServerSharing(
    ServerBudgets budgets,
    ServerLeaseTable leases,
    IOptions<AdminDatabaseOptions> options,
    TimeProvider time,
    ILogger<ServerSharing> log
) : BackgroundService
{
    private static readonly TimeSpan LongestFarewell = TimeSpan.FromSeconds(5);

    // While something is to come: others have more than their part, or the admin database was away.
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(1);

    private readonly WakeUp _wanted = new();
    private long _lookingBackTo = time.GetTimestamp();
    private bool _hasAgreed;
    private bool _isAway;

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.Value.ServerLease is not null)
        {
            budgets.BeginSharing(_wanted.Call, EndAsync);
        }

        return base.StartAsync(cancellationToken);
    }

    // What work is left has its connections, and they are shared until the pools are closed.
    public override Task StopAsync(CancellationToken cancellationToken) =>
        options.Value.ServerLease is null ? base.StopAsync(cancellationToken) : Task.CompletedTask;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.Value.ServerLease is not { } lasting)
        {
            return;
        }

        var regular = lasting / 3;
        var soon = Soon < regular ? Soon : regular;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                var isSettled = await AgreeAsync(lasting, stoppingToken).ConfigureAwait(false);
                await _wanted.WaitAsync(isSettled ? regular : soon, time, stoppingToken).ConfigureAwait(false);
            }
            catch (Exception) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                NoteFailure(e);
                await Task.Delay(soon, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task EndAsync()
    {
        using var farewell = new CancellationTokenSource(LongestFarewell, time);
        try
        {
            await base.StopAsync(farewell.Token).ConfigureAwait(false);
            if (!_hasAgreed)
            {
                return;
            }

            await leases.EndAsync(farewell.Token).ConfigureAwait(false);
        }
        catch (Exception)
        {
            // They end by themselves.
        }
    }

    /// <returns>Whether each has what it shall have.</returns>
    private async Task<bool> AgreeAsync(TimeSpan lasting, CancellationToken ct)
    {
        var shared = budgets.All.Where(server => server.Total is not null).ToLookup(server => server.IsUsed);
        foreach (var server in shared[false])
        {
            // Its lease ends by itself, and it begins anew when somebody comes.
            server.TakeLess(ServerBudget.LeastPart);
        }

        var used = shared[true].ToList();
        if (used.Count == 0)
        {
            return true;
        }

        var isSettled = await leases.AgreeAsync(used, lasting, ct).ConfigureAwait(false);
        _hasAgreed = true;
        if (time.GetElapsedTime(_lookingBackTo) >= lasting / 3)
        {
            // Not at each agreement, which may be every second.
            _lookingBackTo = time.GetTimestamp();
            used.ForEach(server => server.ForgetPeak());
        }

        if (_isAway)
        {
            _isAway = false;
            AdminLogMessages.ServersSharedAgain(log);
        }

        return isSettled;
    }

    private void NoteFailure(Exception e)
    {
        if (_isAway)
        {
            return;
        }

        // Once for each outage: it is tried every second.
        _isAway = true;
        AdminLogMessages.ServersNotShared(
            log,
            e,
            string.Join(
                ", ",
                budgets.All.Where(s => s.IsShared).Select(s => $"{s.Gate.Permits} of {s.Total} at {s.Server}")
            )
        );
    }
}
