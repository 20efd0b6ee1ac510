using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.QualifiedNames;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>Tenants <c>acme</c> and <c>globex</c>, and the first one's schema as plain EF has it, behind one proxy.</summary>
internal sealed class RoundTripApp(
    TestApp app,
    TcpFaultProxy proxy,
    PgBouncerServer? pooler,
    NpgsqlDataSource source,
    Func<ShopDbContext> plain
) : IAsyncDisposable
{
    public TcpFaultProxy Proxy => proxy;
    public Func<ShopDbContext> Plain => plain;
    public ITenantDbContextFactory<ShopDbContext> Tenant => app.Shop;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static async Task<RoundTripApp> StartAsync(
        PostgresServer server,
        SchemaBinding binding,
        (string Key, string? Value)[] settings,
        bool isPooled = false,
        bool isBehindPooler = false
    )
    {
        var pooler = isBehindPooler ? await PgBouncerServer.StartAsync(server, ct: Ct) : null;
        var proxy = TcpFaultProxy.Start(pooler?.Host ?? server.Host, pooler?.Port ?? server.Port);
        var app = await TestApp.StartAsync(
            server,
            databases: 0,
            settings.ToDictionary(s => s.Key, s => s.Value),
            b =>
                _ = isPooled
                    ? b.AddPooledTenantDbContext<ShopDbContext>(o => o.UseSchemaBinding(binding))
                    : b.AddTenantDbContext<ShopDbContext>(o => o.UseSchemaBinding(binding))
        );
        var database = await server.CreateDatabaseAsync(ct: Ct);
        await TestApp.RegisterAsync(
            app.Services,
            server,
            "proxied",
            database,
            row =>
                (row.Host, row.Port, row.PoolPrePing, row.Pooler) = (
                    proxy.Host,
                    proxy.Port,
                    false,
                    isBehindPooler ? PoolerMode.Transaction : PoolerMode.None
                )
        );
        if (isBehindPooler)
        {
            await CatalogApp.LetPathsLeadNowhereAsync(app, "proxied");
        }

        await app.ReloadAsync();
        await app.CreateTenantAsync("acme", "proxied");
        await app.CreateTenantAsync("globex", "proxied");
        var plain = new NpgsqlConnectionStringBuilder(server.GetConnectionString(database))
        {
            Host = proxy.Host,
            Port = proxy.Port,
            // Such a pooler keeps no path, and what the driver resets there is somebody else's.
            SearchPath = isBehindPooler ? null : "tenant_acme",
            NoResetOnClose = isBehindPooler,
        };
        var source = NpgsqlDataSource.Create(plain);
        var options = new DbContextOptionsBuilder<ShopDbContext>().UseNpgsql(source).Options;
        return new RoundTripApp(
            app,
            proxy,
            pooler,
            source,
            isBehindPooler
                ? () => new AcmeContext(options)
                : new PooledDbContextFactory<ShopDbContext>(options).CreateDbContext
        );
    }

    public async ValueTask DisposeAsync()
    {
        await source.DisposeAsync();
        await app.DisposeAsync();
        await proxy.DisposeAsync();
        if (pooler is not null)
        {
            await pooler.DisposeAsync();
        }
    }

    /// <summary>The one schema, written out in the SQL.</summary>
    private sealed class AcmeContext(DbContextOptions<ShopDbContext> options) : ShopDbContext(options)
    {
        protected override void OnModelCreating(ModelBuilder modelBuilder)
        {
            base.OnModelCreating(modelBuilder);
            modelBuilder.HasDefaultSchema("tenant_acme");
        }
    }
}
