using System.Collections.Concurrent;

namespace NeoCommons.EfCore;

/// <summary>What this process remembers of servers and writes when a row changes, and with it its pool.</summary>
internal sealed class HostMemory
{
    private readonly ConcurrentDictionary<(string Whose, string? System), Timeline> _timelines = new();

    private readonly ConcurrentDictionary<string, TenantWrites> _writes = new(StringComparer.Ordinal);

    private readonly ConcurrentDictionary<string, HostHandover> _handovers = new(StringComparer.Ordinal);

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
            TimelineOf($"connection {connection}{(system is null ? " at " + string.Join(',', hosts) : "")}", system),
            .. hosts.Select(host => TimelineAt(host, system)),
        ];

    /// <summary>What counts for every connection that names the host.</summary>
    public Timeline TimelineAt(HostAddress host, string? system) => TimelineOf($"host {host}", system);

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

    private Timeline TimelineOf(string whose, string? system) =>
        _timelines.GetOrAdd((whose, system), static _ => new Timeline());
}
