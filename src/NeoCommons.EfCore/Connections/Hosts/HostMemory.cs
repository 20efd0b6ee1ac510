using System.Collections.Concurrent;

namespace NeoCommons.EfCore;

/// <summary>What this process remembers of servers and writes when a row changes, and with it its pool.</summary>
/// <remarks>Of connections and hosts of rows that are no more it remembers nothing: <see cref="HostUpkeep"/>.</remarks>
internal sealed class HostMemory
{
    private readonly ConcurrentDictionary<string, SystemTimelines> _ofConnections = new(StringComparer.Ordinal);

    private readonly ConcurrentDictionary<HostAddress, SystemTimelines> _ofHosts = new();

    private readonly ConcurrentDictionary<string, TenantWrites> _writes = new(StringComparer.Ordinal);

    private readonly ConcurrentDictionary<string, HostHandover> _handovers = new(StringComparer.Ordinal);

    /// <summary>How many connections and hosts it remembers.</summary>
    public (int Connections, int Hosts) Count =>
        (_ofConnections.Keys.Concat(_writes.Keys).Concat(_handovers.Keys).Distinct().Count(), _ofHosts.Count);

    /// <summary>The timelines of servers that replicate each other, as a connection knows them.</summary>
    /// <remarks>
    /// A copy of them that was promoted, as when a server is split in two, has what they have in common and a higher timeline: it replaces
    /// nobody in the rows that do not name it.
    /// </remarks>
    /// <param name="connection">Its name: what it has seen counts for it, whichever hosts its row comes to name.</param>
    /// <param name="hosts">What any connection has seen at these counts too.</param>
    /// <param name="system">What the servers have in common, since a host may come to be another; null where none has told.</param>
    public Timeline[] TimelinesOf(string connection, IReadOnlyList<HostAddress> hosts, string? system) =>
        [
            // Other hosts may be of another system, where none tells.
            _ofConnections
                .GetOrAdd(connection, static _ => new SystemTimelines())
                .Of(system ?? "at " + string.Join(',', hosts)),
            .. hosts.Select(host => TimelineAt(host, system)),
        ];

    /// <summary>What counts for every connection that names the host.</summary>
    public Timeline TimelineAt(HostAddress host, string? system) =>
        _ofHosts.GetOrAdd(host, static _ => new SystemTimelines()).Of(system ?? "");

    /// <summary>The writes of a connection's tenants.</summary>
    public TenantWrites WritesOf(string connection) => _writes.GetOrAdd(connection, _ => new TenantWrites());

    /// <summary>What a connection's last pool has left to one of the same servers; null where it has left nothing.</summary>
    public HostHandover? HandoverOf(string connection, IEnumerable<HostAddress> hosts) =>
        _handovers.TryGetValue(connection, out var left) && left.Hosts.SequenceEqual(hosts) ? left : null;

    /// <summary>Leaves something to a connection's next pool.</summary>
    public void Leave(string connection, HostHandover handover, Func<long, bool> isOver)
    {
        _handovers[connection] = handover;
        foreach (var left in _handovers.Where(left => isOver(left.Value.At)))
        {
            _handovers.TryRemove(left);
        }
    }

    /// <summary>Whether there is something of a connection.</summary>
    public bool Knows(string connection) => _ofConnections.ContainsKey(connection) || _writes.ContainsKey(connection);

    /// <summary>Forgets the connections and hosts of which there is no row.</summary>
    /// <param name="rows">All rows: what is known of a host that one of them names counts on, whoever has seen it.</param>
    public void Keep(IEnumerable<DatabaseConnection> rows)
    {
        var (connections, hosts) = (new HashSet<string>(StringComparer.Ordinal), new HashSet<HostAddress>());
        foreach (var row in rows)
        {
            connections.Add(row.Name);
            hosts.UnionWith(HostAddress.AllOf(row));
        }

        Forget(_ofConnections, connections);
        Forget(_writes, connections);
        Forget(_handovers, connections);
        Forget(_ofHosts, hosts);
        foreach (var timelines in _ofHosts.Values)
        {
            timelines.LetGo(connections);
        }
    }

    private static void Forget<TKey, TValue>(ConcurrentDictionary<TKey, TValue> known, HashSet<TKey> kept)
        where TKey : notnull
    {
        foreach (var key in known.Keys.Where(key => !kept.Contains(key)))
        {
            known.TryRemove(key, out _);
        }
    }
}
