using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore;

/// <summary>Has what is remembered of hosts forgotten with the rows that named them.</summary>
/// <param name="memory">What is remembered.</param>
/// <param name="registry">Has the rows.</param>
/// <param name="changing">Held by whoever makes a pool: what is remembered of its row must not go meanwhile.</param>
/// <param name="served">The rows of pools that still serve: what they know of their hosts counts for as long.</param>
/// <param name="log">Is told that it has failed.</param>
internal sealed class HostUpkeep(
    HostMemory memory,
    IConnectionRegistry registry,
    SemaphoreSlim changing,
    Func<IEnumerable<DatabaseConnection>> served,
    ILogger log
)
{
    /// <summary>Looks whether something is to be forgotten, since a connection's row has changed or its pool has ended.</summary>
    public async Task AfterAsync(string connection)
    {
        if (!memory.Knows(connection))
        {
            return;
        }

        try
        {
            // Whoever makes a pool of a row that is newer does so before or after: then it is among those that serve.
            var rows = await registry.ListAsync().ConfigureAwait(false);
            await changing.WaitAsync().ConfigureAwait(false);
            try
            {
                memory.Keep([.. rows, .. served()]);
            }
            finally
            {
                changing.Release();
            }
        }
        catch (Exception e)
        {
            LogMessages.ChangeNotFollowed(log, e, connection);
        }
    }
}
