using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

/// <summary>Applications whose tenants lie behind connection <c>home</c>: in the admin database, or in another.</summary>
internal static class Homes
{
    public static async Task<TestApp> StartAsync(
        TestServers servers,
        bool inAdminDatabase,
        Action<NeoCommonsBuilder>? configure = null,
        IReadOnlyDictionary<string, string?>? settings = null
    )
    {
        var ct = TestContext.Current.CancellationToken;
        var app = await TestApp.StartAsync(
            servers.Postgres,
            databases: 0,
            settings,
            configure ?? (b => b.AddTenantDbContext<ShopDbContext>())
        );
        var database = inAdminDatabase
            ? new NpgsqlConnectionStringBuilder(app.AdminConnectionString).Database!
            : await servers.Postgres.CreateDatabaseAsync(ct: ct);
        await TestApp.RegisterAsync(app.Services, servers.Postgres, "home", database);
        await app.ReloadAsync();
        return app;
    }
}
