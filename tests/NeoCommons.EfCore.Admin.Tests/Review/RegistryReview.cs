using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Review;

public sealed class RegistryReview(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public void R05_A_service_provider_can_be_disposed_synchronously()
    {
        var services = new ServiceCollection();
        var configuration = new ConfigurationManager
        {
            ["ADMIN_DATABASE_URL"] = "Host=127.0.0.1;Username=u;Password=p",
            ["DB_ENCRYPTION_KEY"] = TestApp.NewKey(),
        };
        services.AddNeoCommons(configuration).UseAdminDatabase();
        var provider = services.BuildServiceProvider();
        _ = provider.GetRequiredService<IDatabaseConnections>();
        provider.Dispose();
    }

    [Fact]
    public async Task R07_Two_rows_that_reach_one_database_by_other_names_do_not_share_a_schema()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var acme = await app.CreateTenantAsync("acme");
        var name = (string)(await app.AdminAsync("SELECT database_name FROM admin.database_connections"))!;
        var failure = await Record.ExceptionAsync(async () =>
        {
            await TestApp.RegisterAsync(
                app.Services,
                servers.Postgres,
                "alias",
                name,
                r => r.Host = r.Host == "localhost" ? "127.0.0.1" : "localhost"
            );
            await app.AdminAsync(
                "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) SELECT 'thief', 'a', 'tenant_acme', id FROM admin.database_connections WHERE connection_name = 'alias'"
            );
            await app.ReloadAsync();
            await using var thief = await app.Shop.CreateDbContextAsync("thief", Ct);
            _ = await thief.Products.ToListAsync(Ct);
        });
        Assert.NotNull(failure);
    }

    [Fact]
    public async Task R09_No_connection_string_of_a_context_shows_a_password()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");
        await using var admin = await app.Get<IDbContextFactory<AdminDbContext>>().CreateDbContextAsync(Ct);
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        foreach (var context in new DbContext[] { admin, shop })
        {
            Assert.DoesNotContain(servers.Postgres.Password, context.Database.GetConnectionString() ?? "");
            await context.Database.OpenConnectionAsync(Ct);
            Assert.DoesNotContain(servers.Postgres.Password, context.Database.GetConnectionString() ?? "");
        }

        var row = (await app.Get<IConnectionRegistry>().FindAsync("db1", Ct))!;
        Assert.DoesNotContain(servers.Postgres.Password, JsonSerializer.Serialize(row) + row);
        var options = app.Get<DbContextOptions<AdminDbContext>>();
        Assert.DoesNotContain(
            servers.Postgres.Password,
            JsonSerializer.Serialize(options.Extensions.Select(e => e.Info.LogFragment))
        );
    }
}
