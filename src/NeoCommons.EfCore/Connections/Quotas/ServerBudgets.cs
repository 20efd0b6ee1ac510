using System.Collections.Concurrent;

namespace NeoCommons.EfCore;

/// <summary>The budgets of the servers, by host and port as the rows write them: another name of a host is another server.</summary>
internal sealed class ServerBudgets(int? given)
{
    private readonly ConcurrentDictionary<(string Host, int Port), ServerBudget> _servers = new();

    /// <summary>The budget of the row's server.</summary>
    public ServerBudget Of(DatabaseConnection row) =>
        _servers.GetOrAdd((row.Host.ToLowerInvariant(), row.Port), static (_, given) => new ServerBudget(given), given);
}
