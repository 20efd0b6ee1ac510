using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>What stops a start, and what does not.</summary>
public sealed class StartTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public void Adding_twice_adds_nothing_twice()
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
        Assert.Distinct(scope.ServiceProvider.GetServices<IHostedService>().Select(s => s.GetType()));
    }

    [Fact]
    public async Task An_admin_database_that_cannot_be_migrated_stops_the_start_where_nothing_is_known()
    {
        using var host = TestApp.BuildHost(
            servers.Postgres,
            "unused",
            new Dictionary<string, string?>
            {
                ["ADMIN_DATABASE_URL"] = "Host=127.0.0.1;Port=1;Username=u;Password=p;Database=d",
                ["NeoCommons:AdminDatabase:MigrateOnStart"] = "true",
            }
        );

        await Assert.ThrowsAsync<ConnectionUnavailableException>(() => host.StartAsync(Ct));
    }

    [Fact]
    public async Task A_row_that_is_switched_off_is_no_proof_of_a_wrong_key()
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

    [Theory]
    [InlineData("RefreshInterval", "00:00:00.05")]
    [InlineData("RefreshInterval", "1.00:00:01")]
    [InlineData("LastKnownGoodFor", "00:00:01")]
    [InlineData("LastKnownGoodFor", "366.00:00:00")]
    public async Task A_time_that_cannot_be_kept_stops_the_start_and_is_named(string option, string value)
    {
        using var host = TestApp.BuildHost(
            servers.Postgres,
            "unused",
            new Dictionary<string, string?>
            {
                ["NeoCommons:AdminDatabase:LastKnownGoodFor"] = "2.00:00:00",
                ["NeoCommons:AdminDatabase:" + option] = value,
            }
        );

        var stopped = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync(Ct));

        var fault = Assert.Single(stopped.Failures);
        Assert.Contains($"{option} is {value}", fault);
    }
}
