using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Blast;

/// <summary>An application of three rows: one host; a primary and its standby; that primary as the only host. Each has tenants.</summary>
internal sealed class BlastApp : IAsyncDisposable
{
    public const int PoolSize = 20;
    public const string OneHost = "one-host";
    public const string TwoHosts = "two-hosts";
    public const string Dying = "dying";

    private const int TenantsOfRow = 64;

    private readonly PostgresServer _server;
    private readonly PostgresServer _primary;
    private readonly PostgresServer _standby;
    private readonly ServiceProvider _services;
    private readonly ITenantDbContextFactory<EmptyContext> _contexts;
    private readonly IDatabaseConnections _connections;
    private readonly Dictionary<string, Queue<Tenant>> _unused;
    private int _asked;

    private BlastApp(PostgresServer server, PostgresServer primary, PostgresServer standby, IEnumerable<Tenant> tenants)
    {
        (_server, _primary, _standby) = (server, primary, standby);
        var ofPrimary = MemoryRegistry.RowOf(primary) with { Name = Dying, MaxPoolSize = PoolSize };
        _unused = tenants
            .GroupBy(t => t.ConnectionName, StringComparer.Ordinal)
            .ToDictionary(row => row.Key, row => new Queue<Tenant>(row), StringComparer.Ordinal);
        var registry = new MemoryRegistry(
            [
                MemoryRegistry.RowOf(server) with
                {
                    Name = OneHost,
                    MaxPoolSize = PoolSize,
                },
                ofPrimary with
                {
                    Name = TwoHosts,
                    ReplicaHosts = ReplicaHosts.Parse($"{standby.Host}:{standby.Port}"),
                },
                ofPrimary,
            ],
            _unused.Values.SelectMany(t => t)
        );
        var services = new ServiceCollection();
        services.AddSingleton<IConnectionRegistry>(registry);
        services.AddSingleton<ITenantStore>(registry);
        services.AddNeoCommons(new ConfigurationBuilder().Build()).AddPooledTenantDbContext<EmptyContext>();
        _services = services.BuildServiceProvider();
        _contexts = _services.GetRequiredService<ITenantDbContextFactory<EmptyContext>>();
        _connections = _services.GetRequiredService<IDatabaseConnections>();
    }

    public static async Task<BlastApp> StartAsync()
    {
        var server = await PostgresServer.StartAsync();
        var primary = await PostgresServer.StartAsync(new() { Source = ServerSource.Binaries });
        string[] rows = [OneHost, TwoHosts, Dying];
        List<Tenant> tenants =
        [
            .. rows.SelectMany(
                (row, r) =>
                    Enumerable.Range(r * TenantsOfRow, TenantsOfRow).Select(i => MemoryRegistry.NewTenant(i, row))
            ),
        ];
        await CreateAsync(server, tenants.Where(t => t.ConnectionName == OneHost));
        await CreateAsync(primary, tenants.Where(t => t.ConnectionName != OneHost));
        var app = new BlastApp(server, primary, await primary.StartStandbyAsync(), tenants);
        foreach (var hosted in app._services.GetServices<IHostedService>())
        {
            await hosted.StartAsync(CancellationToken.None);
        }

        return app;
    }

    /// <summary>A tenant of a row that nobody has used yet.</summary>
    public Tenant NewTenant(string row) => _unused[row].Dequeue();

    /// <summary>Whether a tenant's connections are opened apart from the pool, since it breaks one after the other.</summary>
    public async Task<bool> IsKeptApartAsync(Tenant tenant)
    {
        var source = await _services
            .GetRequiredService<TenantDataSources>()
            .AcquireAsync(tenant.ConnectionName, CancellationToken.None);
        var limiter = source.Tenants.Enter(tenant, source.Row);
        try
        {
            return source.Quarantine.Holds(limiter);
        }
        finally
        {
            limiter.Leave();
            source.Release();
        }
    }

    public Task StopPrimaryAsync() => _primary.StopAsync(immediate: true);

    public Task StopStandbyAsync() => _standby.StopAsync(immediate: true);

    public Task InContextAsync(Tenant tenant, string sql, CancellationToken ct) =>
        InContextAsync(_contexts.CreateDbContextAsync(tenant.Id, ct), sql, ct);

    public Task InReadOnlyContextAsync(Tenant tenant, string sql, CancellationToken ct) =>
        InContextAsync(_contexts.CreateReadOnlyDbContextAsync(tenant.Id, ct), sql, ct);

    /// <summary>The one in turn with the other.</summary>
    public Task InEitherContextAsync(Tenant tenant, string sql, CancellationToken ct) =>
        Interlocked.Increment(ref _asked) % 2 == 0
            ? InContextAsync(tenant, sql, ct)
            : InReadOnlyContextAsync(tenant, sql, ct);

    public async Task OnConnectionAsync(Tenant tenant, string sql, CancellationToken ct)
    {
        await using var connection = await _connections.OpenTenantConnectionAsync(tenant.Id, ct);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(ct);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var hosted in _services.GetServices<IHostedService>())
        {
            await hosted.StopAsync(CancellationToken.None);
        }

        await _services.DisposeAsync();
        await _standby.DisposeAsync();
        await _primary.DisposeAsync();
        await _server.DisposeAsync();
    }

    private static async Task InContextAsync(ValueTask<EmptyContext> creating, string sql, CancellationToken ct)
    {
        await using var context = await creating;
        await context.Database.ExecuteSqlRawAsync(sql, ct);
    }

    private static async Task CreateAsync(PostgresServer server, IEnumerable<Tenant> tenants)
    {
        await using var source = NpgsqlDataSource.Create(server.ConnectionString);
        await using var command = source.CreateCommand(
            string.Concat(tenants.Select(t => $"CREATE SCHEMA {t.Schema.Quoted};"))
        );
        await command.ExecuteNonQueryAsync();
    }

    internal sealed class EmptyContext(DbContextOptions<EmptyContext> options) : DbContext(options);
}
