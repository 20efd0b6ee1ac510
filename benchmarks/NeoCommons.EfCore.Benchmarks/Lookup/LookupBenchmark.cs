using BenchmarkDotNet.Attributes;
using NeoCommons.EfCore.Benchmarks.Fleet;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks.Lookup;

/// <summary>What it costs to find a tenant that is in memory, and its connection, as each new context does.</summary>
public class LookupBenchmark
{
    private const int Count = 1_000;

    private PostgresServer? _server;
    private FleetApp? _app;
    private ITenantStore? _store;
    private IConnectionRegistry? _registry;
    private Tenant[] _tenants = [];
    private int _next;

    internal static async Task RunAsync(bool quick, TextWriter report)
    {
        await report.WriteLineAsync($"{Count:N0} tenants in memory.");
        await report.WriteLineAsync();
        var means = await Micro.RunAsync<LookupBenchmark>(quick, report);
        var goals = new GoalsTable();
        foreach (var (what, nanoseconds) in means)
        {
            goals.AtMost($"{what}: at most 500 ns", nanoseconds, 500);
        }

        await report.WriteLineAsync();
        await goals.WriteAsync(report);
    }

    /// <summary>Brings a thousand tenants to memory.</summary>
    [GlobalSetup]
    public async Task SetUp()
    {
        _server = await PostgresServer.StartAsync();
        _app = await FleetApp.StartAsync(_server, Count);
        (_store, _registry) = (_app.Tenants, _app.Connections);
        _tenants = await _store.ListAsync().ToArrayAsync();
        foreach (var tenant in _tenants)
        {
            await _store.FindAsync(tenant.Id);
            await _store.FindBySlugAsync(tenant.Slug);
        }
    }

    /// <summary>Ends what was set up.</summary>
    [GlobalCleanup]
    public async Task CleanUp()
    {
        await _app!.DisposeAsync();
        await _server!.DisposeAsync();
    }

    /// <summary>As a request with a tenant's id does.</summary>
    [Benchmark(Description = "a tenant by id")]
    public async ValueTask<object> ById() => (await _store!.FindAsync(Next().Id))!;

    /// <summary>As a request with a tenant's name in its address does.</summary>
    [Benchmark(Description = "a tenant by slug")]
    public async ValueTask<object> BySlug() => (await _store!.FindBySlugAsync(Next().Slug))!;

    /// <summary>As a new context does.</summary>
    [Benchmark(Description = "a tenant by id, and its connection")]
    public async ValueTask<object> WithConnection() =>
        (await _registry!.FindAsync((await _store!.FindAsync(Next().Id))!.ConnectionName))!;

    private Tenant Next() => _tenants[_next = (_next + 1) % Count];
}
