using System.Collections.Concurrent;

namespace NeoCommons.EfCore;

/// <summary>What this process remembers of servers and writes when a row changes, and with it its pool.</summary>
internal sealed class HostMemory
{
    private readonly ConcurrentDictionary<string, Timeline> _timelines = new(StringComparer.Ordinal);

    private readonly ConcurrentDictionary<string, TenantWrites> _writes = new(StringComparer.Ordinal);

    /// <summary>The timeline of servers that replicate each other.</summary>
    /// <param name="system">What they have in common; not the row, which may come to name others.</param>
    public Timeline TimelineOf(string system) => _timelines.GetOrAdd(system, _ => new Timeline());

    /// <summary>The writes of a connection's tenants.</summary>
    public TenantWrites WritesOf(string connection) => _writes.GetOrAdd(connection, _ => new TenantWrites());
}
