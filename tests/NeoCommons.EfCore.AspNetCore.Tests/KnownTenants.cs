namespace NeoCommons.EfCore.AspNetCore.Tests;

/// <summary>Tenants acme and globex, which are active, and one of each other status; counts what it is asked.</summary>
public sealed class KnownTenants : ITenantStore
{
    private static readonly Dictionary<string, Tenant> All = new(StringComparer.Ordinal)
    {
        ["acme"] = Make("acme", TenantStatus.Active),
        ["globex"] = Make("globex", TenantStatus.Active),
        ["waiting"] = Make("waiting", TenantStatus.Provisioning),
        ["asleep"] = Make("asleep", TenantStatus.Suspended),
        ["gone"] = Make("gone", TenantStatus.Archived),
    };

    private int _lookups;

    public int Lookups => _lookups;

    /// <summary>Thrown by every lookup, if set.</summary>
    public Exception? Fault { get; set; }

    public static Tenant Acme => All["acme"];

    public ValueTask<Tenant?> FindAsync(TenantId id, CancellationToken ct = default) =>
        Find(All.Values.SingleOrDefault(t => t.Id == id));

    public ValueTask<Tenant?> FindBySlugAsync(string slug, CancellationToken ct = default) =>
        Find(All.GetValueOrDefault(slug));

    public IAsyncEnumerable<Tenant> ListAsync(CancellationToken ct = default) => All.Values.ToAsyncEnumerable();

    private ValueTask<Tenant?> Find(Tenant? tenant)
    {
        Interlocked.Increment(ref _lookups);
        return Fault is null ? ValueTask.FromResult(tenant) : throw Fault;
    }

    private static Tenant Make(string slug, TenantStatus status) =>
        new()
        {
            Id = TenantId.New(),
            Slug = slug,
            Name = slug,
            Schema = SchemaName.Parse("tenant_" + slug),
            ConnectionName = "somewhere",
            Status = status,
        };
}
