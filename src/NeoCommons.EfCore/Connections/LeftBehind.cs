using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore;

/// <summary>Ends what outlives the drain of a pool, where it must not go on.</summary>
/// <remarks>
/// At the same database it may: only settings have changed. Where no row leads there by now, whatever is still written there is lost to
/// everybody who asks at the new place.
/// </remarks>
/// <param name="registry">Has the rows of now.</param>
/// <param name="isStopping">Whether the application stops, and nobody may go on.</param>
/// <param name="log">Is told of it, and where the rows cannot be read.</param>
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

        // A pooler tells numbers of its own, by which its server knows nobody.
        if (source.Row.Pooler != PoolerMode.None)
        {
            return;
        }

        var servers = await ServersAsync(source).ConfigureAwait(false);
        if (servers.Count > 0)
        {
            LogMessages.LeftBehindEnded(log, source.Row.Name);
            await Task.WhenAll(servers.Select(server => EndAsync(source, server))).ConfigureAwait(false);
        }
    }

    // The first statement ends them, and the next one says that none is left. A server that is away has none.
    private async Task EndAsync(PooledDataSource source, RowHost? server)
    {
        for (
            var left = Tries;
            await SessionEnd.AtAsync(source, server, time).ConfigureAwait(false) > 0 && --left > 0 && !isStopping();

        )
        {
            await Task.Delay(Pause, TimeProvider.System).ConfigureAwait(false);
        }
    }

    // Those of the pool's that no row of the same database names any more; null stands for the only one.
    private async Task<IReadOnlyList<RowHost?>> ServersAsync(PooledDataSource source)
    {
        RowHost?[] all = source.Hosts is { } pools ? [.. pools.Hosts] : [null];
        IReadOnlyList<DatabaseConnection> rows;
        try
        {
            using var timeout = new CancellationTokenSource(SessionEnd.Patience);
            rows = await registry.ListAsync(timeout.Token).AsTask().WaitAsync(timeout.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // What is known stays in force.
            LogMessages.ChangeNotFollowed(log, e, source.Row.Name);
            return [];
        }

        var own = HostAddress.AllOf(source.Row)[0];
        var named = rows.Where(row => row.IsActive && row.Database == source.Row.Database)
            .SelectMany(HostAddress.AllOf)
            .ToList();
        return [.. all.Where(server => !named.Exists(address => IsSame(address, server?.Address ?? own)))];
    }

    private static bool IsSame(HostAddress one, HostAddress other) =>
        one.Port == other.Port && string.Equals(one.Host, other.Host, StringComparison.OrdinalIgnoreCase);
}
