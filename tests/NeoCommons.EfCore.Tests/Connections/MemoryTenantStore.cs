using System.Collections.Concurrent;

namespace NeoCommons.EfCore.Tests.Connections;

internal sealed class MemoryTenantStore : ITenantStore
{
    private readonly ConcurrentDictionary<TenantId, Tenant> _tenants = [];

    public void Set(Tenant tenant) => _tenants[tenant.Id] = tenant;

    public ValueTask<Tenant?> FindAsync(TenantId id, CancellationToken ct = default) =>
        ValueTask.FromResult(_tenants.GetValueOrDefault(id));

    public ValueTask<Tenant?> FindBySlugAsync(string slug, CancellationToken ct = default) =>
        ValueTask.FromResult(_tenants.Values.FirstOrDefault(tenant => tenant.Slug == slug));

    public IAsyncEnumerable<Tenant> ListAsync(CancellationToken ct = default) =>
        _tenants.Values.OrderBy(tenant => tenant.Slug, StringComparer.Ordinal).ToAsyncEnumerable();
}
