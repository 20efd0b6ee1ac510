using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>Tenant <c>acme</c>, and its schema as plain EF has it, behind one proxy.</summary>
internal sealed class RoundTripApp(
    TestApp app,
    TcpFaultProxy proxy,
    NpgsqlDataSource source,
    DbContextOptions<ShopDbContext> plain
) : IAsyncDisposable
{
    public TcpFaultProxy Proxy => proxy;
    public DbContextOptions<ShopDbContext> Plain => plain;
    public ITenantDbContextFactory<ShopDbContext> Tenant => app.Shop;

    public static async Task<RoundTripApp> StartAsync(
        PostgresServer server,
        SchemaBinding binding,
        (string Key, string? Value)[] settings
    )
    {
        var proxy = TcpFaultProxy.Start(server.Host, server.Port);
        var app = await TestApp.StartAsync(
            server,
            databases: 0,
            settings.ToDictionary(s => s.Key, s => s.Value),
            b => b.AddTenantDbContext<ShopDbContext>(o => o.UseSchemaBinding(binding))
        );
        var database = await server.CreateDatabaseAsync(ct: TestContext.Current.CancellationToken);
        await TestApp.RegisterAsync(
            app.Services,
            server,
            "proxied",
            database,
            row => (row.Host, row.Port, row.PoolPrePing) = (proxy.Host, proxy.Port, false)
        );
        await app.ReloadAsync();
        await app.CreateTenantAsync("acme", "proxied");
        var fixedSchema = new NpgsqlConnectionStringBuilder(server.GetConnectionString(database))
        {
            Host = proxy.Host,
            Port = proxy.Port,
            SearchPath = "tenant_acme",
        };
        var source = NpgsqlDataSource.Create(fixedSchema);
        var plain = new DbContextOptionsBuilder<ShopDbContext>().UseNpgsql(source).Options;
        return new RoundTripApp(app, proxy, source, plain);
    }

    public async ValueTask DisposeAsync()
    {
        await source.DisposeAsync();
        await app.DisposeAsync();
        await proxy.DisposeAsync();
    }
}
