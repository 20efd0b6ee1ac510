using System.Collections.Concurrent;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore;

/// <summary>The budgets of the servers, by host and port as the rows write them: another name of a host is another server.</summary>
internal sealed class ServerBudgets(IOptions<ConnectionOptions> options)
{
    private readonly ConcurrentDictionary<string, ServerBudget> _servers = new(StringComparer.Ordinal);
    private readonly Lock _beginning = new();
    private Action? _wanted;
    private Func<Task>? _ended;

    /// <summary>All that were used.</summary>
    public IEnumerable<ServerBudget> All => _servers.Values;

    /// <summary>The budget of the row's server.</summary>
    public ServerBudget Of(DatabaseConnection row)
    {
        var name = FormattableString.Invariant($"{row.Host.ToLowerInvariant()}:{row.Port}");
        if (_servers.TryGetValue(name, out var known))
        {
            return known;
        }

        lock (_beginning)
        {
            return _servers.GetOrAdd(name, n => new ServerBudget(n, options.Value.ServerBudget, _wanted));
        }
    }

    /// <summary>From now on a server is shared with other processes: what this one has of it is what it is given.</summary>
    /// <param name="wanted">Called when a server is new, and nothing was given yet.</param>
    /// <param name="ended">Called when all pools are closed at the end of the process.</param>
    public void BeginSharing(Action wanted, Func<Task> ended)
    {
        lock (_beginning)
        {
            _wanted = wanted;
            _ended = ended;
            foreach (var server in _servers.Values)
            {
                server.BeginSharing(wanted);
            }
        }
    }

    /// <summary>All pools are closed.</summary>
    public Task EndAsync() => _ended?.Invoke() ?? Task.CompletedTask;
}
