using System.Collections.Concurrent;

namespace NeoCommons.EfCore;

/// <summary>What this process remembers of servers and writes when a row changes, and with it its pool.</summary>
internal sealed class HostMemory
{
    private readonly ConcurrentDictionary<(string Connection, string? System), Timeline> _timelines = new();

    private readonly ConcurrentDictionary<string, TenantWrites> _writes = new(StringComparer.Ordinal);

    private readonly ConcurrentDictionary<string, HostHandover> _handovers = new(StringComparer.Ordinal);

    /// <summary>The timeline of servers that replicate each other, as a connection knows them.</summary>
    /// <param name="connection">Its name: a copy of servers that was promoted is another connection's, and replaces nobody here.</param>
    /// <param name="system">What the servers have in common, since the row may come to name others; null where none has told.</param>
    public Timeline TimelineOf(string connection, string? system) =>
        _timelines.GetOrAdd((connection, system), static _ => new Timeline());

    /// <summary>The writes of a connection's tenants.</summary>
    public TenantWrites WritesOf(string connection) => _writes.GetOrAdd(connection, _ => new TenantWrites());

    /// <summary>What a connection's last pool has left to one of the same servers; null where it has left nothing.</summary>
    public HostHandover? HandoverOf(string connection, IEnumerable<HostAddress> hosts) =>
        _handovers.TryGetValue(connection, out var left) && left.Hosts.SequenceEqual(hosts) ? left : null;

    /// <summary>Leaves something to a connection's next pool.</summary>
    public void Leave(string connection, HostHandover handover) => _handovers[connection] = handover;
}
