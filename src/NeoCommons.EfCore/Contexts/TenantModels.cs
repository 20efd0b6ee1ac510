using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore.Metadata;

namespace NeoCommons.EfCore;

/// <summary>The models of the tenants that were used last, each built once however many ask for it at a time.</summary>
/// <remarks>
/// Tenants do not wait for each other here. Not a <c>MemoryCache</c>, which throws away what is added when it is full.
/// </remarks>
internal sealed class TenantModels(int size)
{
    private readonly ConcurrentDictionary<Key, Entry> _entries = new();
    private readonly Lock _trimming = new();
    private long _uses;

    /// <summary>The model under the key; what fails to be built is built again the next time.</summary>
    /// <param name="key">What it is made of.</param>
    /// <param name="build">
    /// Builds it, on the thread that calls: it uses the caller's context, whose services are locked by the caller as long as it waits.
    /// </param>
    public Pair GetOrAdd(Key key, Func<Pair> build)
    {
        var entry = _entries.GetOrAdd(key, static _ => new Entry());
        entry.LastUse = Interlocked.Increment(ref _uses);
        if (entry.Models is { } known)
        {
            return known;
        }

        try
        {
            return entry.Build(build);
        }
        finally
        {
            Trim();
        }
    }

    private void Trim()
    {
        lock (_trimming)
        {
            while (_entries.Count > size)
            {
                _entries.TryRemove(_entries.MinBy(entry => entry.Value.LastUse));
            }
        }
    }

    /// <summary>Everything that a model may be made of.</summary>
    /// <param name="Tenant">
    /// The whole of it, and so its schema too: the same schema may lie in two databases, and <c>OnModelCreating</c> may look at
    /// anything. A tenant whose row has changed gets another model.
    /// </param>
    /// <param name="Inner">EF's own key: the context, and what the application's key factory adds.</param>
    public readonly record struct Key(Tenant Tenant, object Inner);

    /// <summary>What one call of <c>OnModelCreating</c> makes.</summary>
    public sealed record Pair(IModel Runtime, IModel DesignTime);

    private sealed class Entry
    {
        private readonly Lock _building = new();
        private Pair? _models;
        private long _lastUse;

        public Pair? Models => Volatile.Read(ref _models);

        public Pair Build(Func<Pair> build)
        {
            lock (_building)
            {
                if (_models is null)
                {
                    Volatile.Write(ref _models, build());
                }

                return _models;
            }
        }

        public long LastUse
        {
            get => Volatile.Read(ref _lastUse);
            set => Volatile.Write(ref _lastUse, value);
        }
    }
}
