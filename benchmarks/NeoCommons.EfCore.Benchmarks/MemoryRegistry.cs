namespace NeoCommons.EfCore.Benchmarks;

/// <summary>Connections and tenants in memory: what is measured is what comes after the lookup, which has its own benchmark.</summary>
internal sealed class MemoryRegistry(IEnumerable<DatabaseConnection> rows, IEnumerable<Tenant> tenants)
    : IConnectionRegistry,
        ITenantStore
{
    private readonly Dictionary<string, DatabaseConnection> _rows = rows.ToDictionary(
        r => r.Name,
        StringComparer.Ordinal
    );
    private readonly Dictionary<TenantId, Tenant> _tenants = tenants.ToDictionary(t => t.Id);

    public ValueTask<DatabaseConnection?> FindAsync(string name, CancellationToken ct = default) =>
        ValueTask.FromResult(_rows.GetValueOrDefault(name));

    ValueTask<IReadOnlyList<DatabaseConnection>> IConnectionRegistry.ListAsync(CancellationToken ct) =>
        ValueTask.FromResult<IReadOnlyList<DatabaseConnection>>([.. _rows.Values]);

    public ValueTask<Tenant?> FindAsync(TenantId id, CancellationToken ct = default) =>
        ValueTask.FromResult(_tenants.GetValueOrDefault(id));

    public ValueTask<Tenant?> FindBySlugAsync(string slug, CancellationToken ct = default) =>
        ValueTask.FromResult(_tenants.Values.FirstOrDefault(t => t.Slug == slug));

    public IAsyncEnumerable<Tenant> ListAsync(CancellationToken ct = default) => _tenants.Values.ToAsyncEnumerable();
}
