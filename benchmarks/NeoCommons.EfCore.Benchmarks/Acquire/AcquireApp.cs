using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Acquire;

/// <summary>An application over one database with tenants, beside 999 connections that nobody uses and one that is dead.</summary>
internal sealed class AcquireApp : IAsyncDisposable
{
    public const int PoolSize = 20;
    public const string Dead = "dead";

    private const int Rows = 1_000;

    private readonly ServiceProvider _services;

    public AcquireApp(PostgresServer server, int tenants)
    {
        var row = MemoryRegistry.RowOf(server) with { MaxPoolSize = PoolSize };
        Tenants = [.. Enumerable.Range(0, tenants).Select(i => MemoryRegistry.NewTenant(i))];
        DeadTenant = MemoryRegistry.NewTenant(tenants, Dead);
        var registry = new MemoryRegistry(
            [
                row,
                row with
                {
                    Name = Dead,
                    Port = 1,
                    PoolTimeout = TimeSpan.FromSeconds(1),
                },
                .. Enumerable.Range(2, Rows - 2).Select(i => row with { Name = $"row{i}", Database = $"db{i}" }),
            ],
            Tenants.Append(DeadTenant)
        );
        var services = new ServiceCollection();
        services.AddSingleton<IConnectionRegistry>(registry);
        services.AddSingleton<ITenantStore>(registry);
        services
            .AddNeoCommons(new ConfigurationBuilder().Build())
            .AddPooledTenantDbContext<EmptyContext>()
            .AddPooledTenantDbContext<NamesContext>(o => o.UseSchemaBinding(SchemaBinding.QualifiedNames));
        services.AddHealthChecks().AddNeoCommons();
        _services = services.BuildServiceProvider();
    }

    public IReadOnlyList<Tenant> Tenants { get; }

    public Tenant DeadTenant { get; }

    public IServiceProvider Services => _services;

    /// <summary>Creates the tenants' schemas, and lets what runs in the background run.</summary>
    public async Task StartAsync(PostgresServer server)
    {
        await using var connection = new NpgsqlConnection(server.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            string.Concat(Tenants.Select(t => $"CREATE SCHEMA {t.Schema.Quoted};")),
            connection
        );
        await command.ExecuteNonQueryAsync();
        var services = _services.GetServices<IHostedService>().ToList();
        foreach (var service in services)
        {
            await service.StartAsync(CancellationToken.None);
        }

        foreach (var service in services.OfType<IHostedLifecycleService>())
        {
            await service.StartedAsync(CancellationToken.None);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var service in _services.GetServices<IHostedService>())
        {
            await service.StopAsync(CancellationToken.None);
        }

        await _services.DisposeAsync();
    }

    internal sealed class EmptyContext(DbContextOptions<EmptyContext> options) : DbContext(options);

    internal sealed class NamesContext(DbContextOptions<NamesContext> options) : DbContext(options);
}
