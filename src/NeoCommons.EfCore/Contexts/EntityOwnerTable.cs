using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace NeoCommons.EfCore;

/// <summary>The tenant of each entity, without keeping the entity alive.</summary>
/// <remarks>
/// What <see cref="ConditionalWeakTable{TKey, TValue}"/> does, for a tenth: to note an entity is to append it, the weak
/// handles of those that were collected serve the next ones, and only who looks for one pays for an index. Thread-safe.
/// </remarks>
internal sealed class EntityOwnerTable
{
    private const int FirstLength = 1_024;

    private readonly Lock _lock = new();
    private Place[] _places = new Place[FirstLength];

    // Where the chain of a hash begins, plus one: an array begins as zeros.
    private int[] _chains = new int[FirstLength];
    private int _used;
    private int _indexed;

    /// <summary>Notes the tenant of an entity that has none yet.</summary>
    public void Add(object entity, Tenant owner)
    {
        lock (_lock)
        {
            if (_used == _places.Length)
            {
                Compact();
            }

            _places[_used].Take(entity, owner);
            Volatile.Write(ref _used, _used + 1);
        }
    }

    public Tenant? Find(object entity)
    {
        // Who has an entity at hand got it after it was noted.
        if (Volatile.Read(ref _used) == 0)
        {
            return null;
        }

        var hash = RuntimeHelpers.GetHashCode(entity);
        lock (_lock)
        {
            Index();
            for (var at = ChainOf(hash) - 1; at >= 0; at = _places[at].Next)
            {
                ref readonly var place = ref _places[at];
                if (place.Hash == hash && ReferenceEquals(place.Entity, entity))
                {
                    return place.Owner;
                }
            }

            return null;
        }
    }

    private ref int ChainOf(int hash) => ref _chains[hash & (_chains.Length - 1)];

    private void Index()
    {
        for (; _indexed < _used; _indexed++)
        {
            ref var place = ref _places[_indexed];
            if (place.Entity is { } living)
            {
                place.Hash = RuntimeHelpers.GetHashCode(living);
                ref var chain = ref ChainOf(place.Hash);
                place.Next = chain - 1;
                chain = _indexed + 1;
            }
        }
    }

    /// <summary>Drops the dead, and makes room where they were too few.</summary>
    private void Compact()
    {
        var living = 0;
        for (var at = 0; at < _used; at++)
        {
            if (_places[at].Entity is not null)
            {
                // Not copied: each place keeps a handle of its own.
                (_places[living], _places[at]) = (_places[at], _places[living]);
                living++;
            }
        }

        Volatile.Write(ref _used, living);
        _indexed = 0;
        if (living > _places.Length / 2)
        {
            Array.Resize(ref _places, _places.Length * 2);
            _chains = new int[_places.Length];
        }
        else if (living < _places.Length / 8 && _places.Length > FirstLength)
        {
            Shrink();
        }
        else
        {
            Array.Clear(_chains);
        }
    }

    private void Shrink()
    {
        var length = _places.Length / 2;
        for (var at = length; at < _places.Length; at++)
        {
            _places[at].Free();
        }

        Array.Resize(ref _places, length);
        _chains = new int[length];
    }

    private struct Place
    {
        private GCHandle _entity;

        public int Hash { get; set; }

        public int Next { get; set; }

        public Tenant? Owner { get; private set; }

        public readonly object? Entity => _entity.IsAllocated ? _entity.Target : null;

        public void Free()
        {
            if (_entity.IsAllocated)
            {
                _entity.Free();
            }
        }

        public void Take(object entity, Tenant owner)
        {
            Owner = owner;
            if (_entity.IsAllocated)
            {
                _entity.Target = entity;
            }
            else
            {
                _entity = GCHandle.Alloc(entity, GCHandleType.Weak);
            }
        }
    }
}
