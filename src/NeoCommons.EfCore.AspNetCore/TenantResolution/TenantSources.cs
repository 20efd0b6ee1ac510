using Microsoft.AspNetCore.Http;

namespace NeoCommons.EfCore.AspNetCore;

/// <summary>The places where this application looks for a tenant, in order.</summary>
internal sealed class TenantSources(IEnumerable<TenantSource> sources)
{
    private readonly TenantSource[] _all = [.. sources];

    /// <summary>All places, as the end of a sentence for callers.</summary>
    public string Description => field ??= string.Join(", or ", _all.Select(s => s.Description));

    /// <summary>The slug that the first place which names one gives. Whether it is right does not matter here.</summary>
    /// <remarks>To look further when a tenant is unknown would let a request pick whichever of two names works.</remarks>
    public string? Find(HttpContext context)
    {
        foreach (var source in _all)
        {
            if (source.Find(context) is { Length: > 0 } slug)
            {
                return slug;
            }
        }

        return null;
    }
}
