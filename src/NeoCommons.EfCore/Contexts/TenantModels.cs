using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
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
    /// <exception cref="InvalidOperationException">It is being built by the caller.</exception>
    public Pair GetOrAdd(Key key, Func<Pair> build)
    {
        var use = Interlocked.Increment(ref _uses);
        var entry = _entries.GetOrAdd(key, static (_, use) => new Entry { LastUse = use }, use);
        entry.LastUse = use;
        if (entry.Models is { } known)
        {
            return known;
        }

        try
        {
            var models = entry.Build(build);
            Trim();
            return models;
        }
        catch
        {
            _entries.TryRemove(KeyValuePair.Create(key, entry));
            throw;
        }
    }

    // Not those that are being built: they would be built again for whoever asks next.
    private void Trim()
    {
        lock (_trimming)
        {
            var built = _entries.Where(entry => entry.Value.Models is not null).ToList();
            foreach (var entry in built.OrderBy(entry => entry.Value.LastUse).Take(built.Count - size))
            {
                _entries.TryRemove(entry);
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
        private ExceptionDispatchInfo? _failure;
        private long _lastUse;

        public Pair? Models => Volatile.Read(ref _models);

        public long LastUse
        {
            get => Volatile.Read(ref _lastUse);
            set => Volatile.Write(ref _lastUse, value);
        }

        public Pair Build(Func<Pair> build)
        {
            if (_building.IsHeldByCurrentThread)
            {
                throw new InvalidOperationException(
                    "OnModelCreating uses another context of its own type and tenant, whose model it is about to make. Let it use a context of another type."
                );
            }

            lock (_building)
            {
                // Who has waited for it is told what the builder was told.
                _failure?.Throw();
                try
                {
                    return _models ?? Publish(build());
                }
                catch (Exception e)
                {
                    _failure = ExceptionDispatchInfo.Capture(e);
                    throw;
                }
            }
        }

        private Pair Publish(Pair models)
        {
            Volatile.Write(ref _models, models);
            return models;
        }
    }
}
