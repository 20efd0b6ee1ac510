using System.Collections.Concurrent;

namespace NeoCommons.EfCore;

/// <summary>Whose writes may not have reached the standbys.</summary>
/// <remarks>
/// An entry is made when a lease writes, and goes when the lease has ended and each standby that serves has replayed what was
/// committed until then: as many as tenants that write within a look or two, or while no standby can be compared.
/// </remarks>
internal sealed class TenantWrites
{
    // After its completion a scope ends, as a rule at once; the commit may wait for a synchronous standby.
    private static readonly TimeSpan MostOfCommit = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<TenantId, Entry> _entries = [];

    /// <summary>How many tenants have one.</summary>
    public int Count => _entries.Count;

    /// <summary>Notes that a lease begins to write.</summary>
    public void Begin(TenantId tenant)
    {
        while (true)
        {
            var entry = _entries.GetOrAdd(tenant, static _ => new Entry());
            lock (entry)
            {
                if (!entry.IsGone)
                {
                    entry.Writing++;
                    return;
                }
            }
        }
    }

    /// <summary>Notes that the lease has ended; within a <c>TransactionScope</c> what it wrote is committed with that.</summary>
    public void EndWithScope(TenantId tenant, TimeProvider time)
    {
        if (!AmbientScope.TryGet(out var scope))
        {
            // It is committed when the scope is disposed, which nobody tells us any more.
            End(tenant, time.GetTimestamp() + (long)(MostOfCommit.TotalSeconds * time.TimestampFrequency));
        }
        else if (scope is not null)
        {
            scope.TransactionCompleted += (_, _) => End(tenant, time.GetTimestamp());
        }
        else
        {
            End(tenant, time.GetTimestamp());
        }
    }

    /// <summary>Notes that what the lease wrote is committed, or never will be.</summary>
    public void End(TenantId tenant, long now)
    {
        if (_entries.TryGetValue(tenant, out var entry))
        {
            lock (entry)
            {
                entry.Writing--;
                entry.EndedAt = Math.Max(entry.EndedAt, now);
            }
        }
    }

    /// <summary>Whether a standby may lack something that the tenant wrote.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="settledAt">What was committed before is replayed.</param>
    public bool IsUnsettled(TenantId tenant, long settledAt)
    {
        if (!_entries.TryGetValue(tenant, out var entry))
        {
            return false;
        }

        lock (entry)
        {
            return !entry.IsSettled(settledAt);
        }
    }

    /// <summary>Forgets those whose writes are replayed.</summary>
    public void Settle(long settledAt)
    {
        foreach (var (tenant, entry) in _entries)
        {
            TryRemove(tenant, entry, settledAt);
        }
    }

    private void TryRemove(TenantId tenant, Entry entry, long settledAt)
    {
        lock (entry)
        {
            if (!entry.IsSettled(settledAt))
            {
                return;
            }

            entry.IsGone = true;
        }

        _entries.TryRemove(KeyValuePair.Create(tenant, entry));
    }

    private sealed class Entry
    {
        public int Writing;
        public long EndedAt;
        public bool IsGone;

        public bool IsSettled(long at) => IsGone || (Writing == 0 && EndedAt < at);
    }
}
