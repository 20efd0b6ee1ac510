using NeoCommons.EfCore.Testing;
using Npgsql;

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

    /// <summary>The name of <see cref="RowOf"/>.</summary>
    public const string Connection = "db";

    /// <summary>A row that leads to the server.</summary>
    public static DatabaseConnection RowOf(PostgresServer server) =>
        new()
        {
            Name = Connection,
            Host = server.Host,
            Port = server.Port,
            Database = "postgres",
            Username = server.Username,
            Password = Secret.FromText(server.Password),
            SslMode = SslMode.Disable,
        };

    /// <summary>A tenant of a number: <c>t1</c> in schema <c>tenant_t1</c>.</summary>
    public static Tenant NewTenant(int number, string connection = Connection) =>
        new()
        {
            Id = new TenantId(Guid.NewGuid()),
            Slug = $"t{number}",
            Name = $"t{number}",
            Schema = SchemaName.Parse($"tenant_t{number}"),
            ConnectionName = connection,
        };

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
