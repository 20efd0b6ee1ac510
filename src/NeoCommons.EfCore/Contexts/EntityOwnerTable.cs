using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace NeoCommons.EfCore;

/// <summary>The tenant of each entity, without keeping the entity alive.</summary>
/// <remarks>
/// What <see cref="ConditionalWeakTable{TKey, TValue}"/> does, for less: the weak handles of entities that were collected
/// serve the next ones, so that noting an entity makes no handle. A hash table with chains, as long as twice the entities
/// that lived at its last sweep. Thread-safe.
/// </remarks>
internal sealed class EntityOwnerTable
{
    private const int FirstLength = 1_024;
    private const int None = -1;

    private readonly Lock _lock = new();
    private Place[] _places = new Place[FirstLength];

    // Where the chain of a hash begins, plus one: an array begins as zeros.
    private int[] _chains = new int[FirstLength];
    private int _used;
    private int _free = None;

    /// <summary>Notes the tenant of an entity that has none yet.</summary>
    public void Add(object entity, Tenant owner)
    {
        var hash = RuntimeHelpers.GetHashCode(entity);
        lock (_lock)
        {
            if (_free == None && _used == _places.Length)
            {
                Sweep();
            }

            var at = _free;
            if (at == None)
            {
                at = _used++;
            }
            else
            {
                _free = _places[at].Next;
            }

            _places[at].Take(entity, hash, owner);
            Chain(at);
        }
    }

    public Tenant? Find(object entity)
    {
        var hash = RuntimeHelpers.GetHashCode(entity);
        lock (_lock)
        {
            for (var at = ChainOf(hash) - 1; at != None; at = _places[at].Next)
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

    private void Chain(int at)
    {
        ref var chain = ref ChainOf(_places[at].Hash);
        _places[at].Next = chain - 1;
        chain = at + 1;
    }

    /// <summary>Frees the places of the dead, and makes room where they were too few.</summary>
    private void Sweep()
    {
        var living = 0;
        foreach (ref var place in _places.AsSpan())
        {
            if (place.Entity is null)
            {
                place.Owner = null;
            }
            else
            {
                living++;
            }
        }

        if (living > _places.Length / 2)
        {
            Array.Resize(ref _places, _places.Length * 2);
            _chains = new int[_places.Length];
        }
        else
        {
            Array.Clear(_chains);
        }

        _free = None;
        for (var at = _used - 1; at >= 0; at--)
        {
            if (_places[at].Owner is null)
            {
                _places[at].Next = _free;
                _free = at;
            }
            else
            {
                Chain(at);
            }
        }
    }

    private struct Place
    {
        private GCHandle _entity;

        public int Hash { get; private set; }

        public int Next { get; set; }

        public Tenant? Owner { get; set; }

        public readonly object? Entity => _entity.IsAllocated ? _entity.Target : null;

        public void Take(object entity, int hash, Tenant owner)
        {
            (Hash, Owner) = (hash, owner);
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
