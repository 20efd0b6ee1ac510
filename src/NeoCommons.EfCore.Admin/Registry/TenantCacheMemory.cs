using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>The memory of the tenant cache, apart from the application's own so that its bound is ours.</summary>
internal sealed class TenantCacheMemory(IOptions<AdminDatabaseOptions> options) : IDisposable
{
    // A tenant is found by id and by slug: two entries.
    public MemoryCache Cache { get; } = new(new MemoryCacheOptions { SizeLimit = 2L * options.Value.CachedTenants });

    public void Dispose() => Cache.Dispose();
}
