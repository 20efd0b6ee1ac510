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

    private readonly WakeUp _wanted = new();
    private bool _hasAgreed;

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.Value.ServerLease is not null)
        {
            budgets.BeginSharing(_wanted.Call);
        }

        return base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken).ConfigureAwait(false);
        if (!_hasAgreed)
        {
            return;
        }

        // What work is left has its connections: the others begin with what comes back.
        using var farewell = new CancellationTokenSource(LongestFarewell, time);
        try
        {
            await leases.EndAsync(farewell.Token).ConfigureAwait(false);
        }
        catch (Exception)
        {
            // They end by themselves.
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.Value.ServerLease is not { } lasting)
        {
            return;
        }

        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await AgreeAsync(lasting, stoppingToken).ConfigureAwait(false);
                await _wanted.WaitAsync(lasting / 3, time, stoppingToken).ConfigureAwait(false);
            }
            catch (Exception) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                AdminLogMessages.ServersNotShared(log, e);
                await Task.Delay(lasting / 3, time, stoppingToken)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task AgreeAsync(TimeSpan lasting, CancellationToken ct)
    {
        var servers = budgets.All.Where(server => server.Total is not null).ToList();
        if (servers.Count == 0)
        {
            return;
        }

        // What came back above the part is closed, and so the others'.
        servers.ForEach(server => server.Trim());
        var parts = await leases.AgreeAsync(servers, lasting, ct).ConfigureAwait(false);
        _hasAgreed = true;
        for (var i = 0; i < parts.Length; i++)
        {
            servers[i].Take(parts[i]);
        }
    }
}
