using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore;

/// <summary>Ends what outlives the drain of a pool, where it must not go on.</summary>
/// <remarks>
/// At the same database it may: only settings have changed. Where the row leads elsewhere by now, or nowhere, whatever is still
/// written at the old place is lost to everybody who asks at the new one.
/// </remarks>
/// <param name="registry">Has the rows of now.</param>
/// <param name="isStopping">Whether the application stops, and nobody may go on.</param>
/// <param name="log">Is told where it cannot be read.</param>
/// <param name="time">The clock.</param>
internal sealed class LeftBehind(IConnectionRegistry registry, Func<bool> isStopping, ILogger log, TimeProvider time)
{
    private const int Tries = 3;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    /// <summary>Has the servers end the sessions of a pool whose leases have outlived the deadline.</summary>
    public async Task EndAsync(PooledDataSource source)
    {
        if (isStopping())
        {
            await SessionEnd.OfAsync(source, time).ConfigureAwait(false);
            return;
        }

        var servers = await ServersAsync(source).ConfigureAwait(false);
        if (servers.Count > 0)
        {
            LogMessages.LeftBehindEnded(log, source.Row.Name);
            await Task.WhenAll(servers.Select(server => EndAsync(source, server))).ConfigureAwait(false);
        }
    }

    private async Task EndAsync(PooledDataSource source, RowHost? server)
    {
        // The first statement ends them, and the next one says that none is left.
        for (
            var left = Tries;
            !await SessionEnd.AtAsync(source, server, time).ConfigureAwait(false) && --left > 0 && !isStopping();

        )
        {
            await Task.Delay(Pause, TimeProvider.System).ConfigureAwait(false);
        }
    }

    // Those of the pool's that the row does not name any more; null stands for the only one.
    private async Task<IReadOnlyList<RowHost?>> ServersAsync(PooledDataSource source)
    {
        RowHost?[] all = source.Hosts is { } pools ? [.. pools.Hosts] : [null];
        DatabaseConnection? row;
        try
        {
            row = await registry.FindAsync(source.Row.Name).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // What is known stays in force.
            LogMessages.ChangeNotFollowed(log, e, source.Row.Name);
            return [];
        }

        if (row is not { IsActive: true } || row.Database != source.Row.Database)
        {
            return all;
        }

        var own = HostAddress.AllOf(source.Row)[0];
        var named = HostAddress.AllOf(row);
        return [.. all.Where(server => !named.Contains(server?.Address ?? own))];
    }
}
