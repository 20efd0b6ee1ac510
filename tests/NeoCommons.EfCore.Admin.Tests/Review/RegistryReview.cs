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
    public async Task R01_A_row_with_a_date_that_dotnet_cannot_hold_breaks_no_other_connection()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await app.AdminAsync(
            "UPDATE admin.database_connections SET created_at = '20000-01-01' WHERE connection_name = 'db2'"
        );
        await app.ReloadAsync();
    }

    [Fact]
    public async Task R02_A_tenant_with_a_date_that_dotnet_cannot_hold_breaks_no_other_tenant()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");
        await app.CreateTenantAsync("globex");
        await app.AdminAsync("UPDATE admin.tenants SET created_at = '0044-03-15 BC' WHERE slug = 'acme'");
        await app.ReloadAsync();
        Assert.Equal(2, (await app.Migrator.MigrateAllAsync(ct: Ct)).Count);
    }

    [Fact]
    public async Task R03_A_replaced_secret_protector_reads_the_rows()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b =>
            {
                b.Services.AddSingleton<ISecretProtector, Vault>();
                b.AddTenantDbContext<ShopDbContext>();
            }
        );
        await app.CreateTenantAsync("acme");
    }

    [Fact]
    public async Task R04_Callers_of_an_unreachable_admin_database_do_not_wait_for_one_another()
    {
        // Answers nobody: each try takes the whole timeout.
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var port = ((IPEndPoint)silent.LocalEndpoint).Port;
        using var host = TestApp.BuildHost(
            servers.Postgres,
            "x",
            new Dictionary<string, string?>
            {
                ["ADMIN_DATABASE_URL"] =
                    $"Host=127.0.0.1;Port={port};Username=u;Password=p;Database=d;Timeout=1;SSL Mode=Disable",
            }
        );
        var registry = host.Services.GetRequiredService<IConnectionRegistry>();
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(
            Enumerable
                .Range(0, 8)
                .Select(_ => Record.ExceptionAsync(async () => await registry.FindAsync("db1", Ct)).AsTask())
        );
        Assert.InRange(Stopwatch.GetElapsedTime(started).TotalSeconds, 0, 4);
    }

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
    public void R06_Adding_twice_adds_nothing_twice()
    {
        var services = new ServiceCollection();
        var configuration = new ConfigurationManager
        {
            ["ADMIN_DATABASE_URL"] = "Host=127.0.0.1;Username=u;Password=p",
            ["DB_ENCRYPTION_KEY"] = TestApp.NewKey(),
            ["NeoCommons:Connections:SharedSchemas:0"] = "common",
        };
        services.AddNeoCommons(configuration).UseAdminDatabase();
        services.AddNeoCommons(configuration).UseAdminDatabase();
        using var scope = services.BuildServiceProvider().CreateScope();
        Assert.Single(scope.ServiceProvider.GetRequiredService<IOptions<ConnectionOptions>>().Value.SharedSchemas);
        Assert.Single(scope.ServiceProvider.GetServices<IHostedService>());
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
    public async Task R08_One_row_that_was_tampered_with_does_not_stop_the_application()
    {
        var admin = await servers.Postgres.CreateDatabaseAsync(ct: Ct);
        var key = new Dictionary<string, string?> { ["DB_ENCRYPTION_KEY"] = TestApp.NewKey() };
        using (var first = TestApp.BuildHost(servers.Postgres, admin, key))
        {
            await first.Services.MigrateAdminDatabaseAsync(Ct);
            await TestApp.RegisterAsync(first.Services, servers.Postgres, "db1", "x");
        }

        using (var other = TestApp.BuildHost(servers.Postgres, admin))
        {
            await TestApp.RegisterAsync(other.Services, servers.Postgres, "stale", "y", r => r.IsActive = false);
        }

        await using (var c = new NpgsqlConnection(servers.Postgres.GetConnectionString(admin)))
        {
            await c.OpenAsync(Ct);
            await using var delete = new NpgsqlCommand(
                "DELETE FROM admin.database_connections WHERE connection_name = 'db1'",
                c
            );
            await delete.ExecuteNonQueryAsync(Ct);
        }

        using var host = TestApp.BuildHost(servers.Postgres, admin, key);
        await host.StartAsync(Ct);
        await host.StopAsync(Ct);
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

    [Fact]
    public async Task R10_A_row_named_like_the_admin_database_has_metrics_of_its_own()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 0);
        await TestApp.RegisterAsync(
            app.Services,
            servers.Postgres,
            "admin-database",
            await servers.Postgres.CreateDatabaseAsync(ct: Ct)
        );
        await app.ReloadAsync();
        Assert.Equal(0, app.Databases.GetPoolMetrics("admin-database").Max);
    }

    [Fact]
    public async Task R11_A_close_that_is_not_awaited_is_waited_for_at_the_end()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");
        var lease = await app.Databases.OpenConnectionAsync("db1", Ct);
        var closing = app.Databases.CloseAsync("db1");
        var all = app.Databases.CloseAllAsync();
        Assert.False(all.IsCompleted);
        await lease.DisposeAsync();
        await Task.WhenAll(closing, all);
    }

    private sealed class Vault : ISecretProtector
    {
        public string Protect(string secret) =>
            "vault:" + Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(secret));

        public string Unprotect(string token) =>
            System.Text.Encoding.UTF8.GetString(Convert.FromBase64String(token["vault:".Length..]));
    }
}
