using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

/// <summary>An application that reaches its admin database and its tenants' through proxies, beside one that does not.</summary>
internal sealed class ProxiedFleet : IAsyncDisposable
{
    private readonly IHost _host;

    private ProxiedFleet(
        TestApp app,
        string key,
        TcpFaultProxy admin,
        TcpFaultProxy tenants,
        IReadOnlyDictionary<string, string?>? settings,
        TimeProvider? time
    )
    {
        (App, Admin, Tenants) = (app, admin, tenants);
        _host = TestApp.BuildHost(
            app.Server,
            app.Connections[0],
            new Dictionary<string, string?>(settings ?? new Dictionary<string, string?>())
            {
                ["ADMIN_DATABASE_URL"] = admin.GetConnectionString(app.AdminConnectionString),
                ["DB_ENCRYPTION_KEY"] = key,
            },
            b => b.AddTenantDbContext<LedgerContext>().Services.AddSingleton(time ?? TimeProvider.System)
        );
    }

    public TestApp App { get; }
    public TcpFaultProxy Admin { get; }
    public TcpFaultProxy Tenants { get; }
    public ITenantMigrator Migrator => _host.Services.GetRequiredService<ITenantMigrator>();
    public ITenantProvisioner Provisioner => _host.Services.GetRequiredService<ITenantProvisioner>();
    public WarmSchemaStock Stock => _host.Services.GetRequiredService<WarmSchemaStock>();

    public static async Task<ProxiedFleet> StartAsync(
        TestServers servers,
        IReadOnlyDictionary<string, string?>? settings = null,
        TimeProvider? time = null,
        int poolTimeout = 2
    )
    {
        var key = TestApp.NewKey();
        var app = await TestApp.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?>
            {
                ["DB_ENCRYPTION_KEY"] = key,

                // Its row leads through the proxy as well, and what its monitor asks is nobody's round trip here.
                ["NeoCommons:Health:Interval"] = "01:00:00",
            },
            configure: b => b.AddTenantDbContext<LedgerContext>()
        );
        var fleet = new ProxiedFleet(
            app,
            key,
            TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port),
            TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port),
            settings,
            time
        );

        // The driver waits as long for a silent server to hear of a cancellation.
        await app.AdminAsync(
            $"UPDATE admin.database_connections SET port = {fleet.Tenants.Port}, pool_timeout_seconds = {poolTimeout}"
        );
        return fleet;
    }

    public async ValueTask DisposeAsync()
    {
        await ((IAsyncDisposable)_host).DisposeAsync();
        await App.DisposeAsync();
        await Admin.DisposeAsync();
        await Tenants.DisposeAsync();
    }
}
