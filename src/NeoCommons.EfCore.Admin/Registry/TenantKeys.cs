namespace NeoCommons.EfCore.Admin;

/// <summary>The keys of tenants in the cache, which wants text; those of tenants in use are not made anew.</summary>
/// <remarks>Never those of slugs: a slug has no braces. A fixed array: no lock, no growth, and a collision costs 100 bytes.</remarks>
internal sealed class TenantKeys
{
    private const int Slots = 1_024;

    private readonly Known?[] _known = new Known?[Slots];

    public string Of(TenantId id)
    {
        ref var slot = ref _known[id.GetHashCode() & (Slots - 1)];
        if (Volatile.Read(ref slot) is { } known && known.Id == id)
        {
            return known.Key;
        }

        var key = id.Value.ToString("B");
        Volatile.Write(ref slot, new Known(id, key));
        return key;
    }

    private sealed record Known(TenantId Id, string Key);
}
