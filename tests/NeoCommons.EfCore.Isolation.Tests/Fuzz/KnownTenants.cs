namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>A store of tenants that do not change.</summary>
internal sealed class KnownTenants(IReadOnlyList<Tenant> tenants) : ITenantStore
{
    private readonly Dictionary<TenantId, Tenant> _byId = tenants.ToDictionary(t => t.Id);

    public ValueTask<Tenant?> FindAsync(TenantId id, CancellationToken ct = default) =>
        ValueTask.FromResult(_byId.GetValueOrDefault(id));

    public ValueTask<Tenant?> FindBySlugAsync(string slug, CancellationToken ct = default) =>
        ValueTask.FromResult(tenants.FirstOrDefault(t => t.Slug == slug));

    public IAsyncEnumerable<Tenant> ListAsync(CancellationToken ct = default) => tenants.ToAsyncEnumerable();
}
