using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

public sealed class LifetimeTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public void A_service_provider_can_be_disposed_synchronously()
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
    public async Task No_connection_string_of_a_context_shows_a_password()
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
    public async Task An_admin_database_without_its_schema_is_told_from_an_empty_one()
    {
        var database = await servers.Postgres.CreateDatabaseAsync(ct: TestContext.Current.CancellationToken);
        using var host = TestApp.BuildHost(servers.Postgres, database);

        var refused = await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await host
                .Services.GetRequiredService<ITenantStore>()
                .FindBySlugAsync("acme", TestContext.Current.CancellationToken)
        );

        Assert.Contains("MigrateOnStart", refused.Message);
    }
}
