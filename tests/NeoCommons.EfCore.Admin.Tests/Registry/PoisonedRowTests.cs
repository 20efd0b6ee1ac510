using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using NeoCommons.EfCore.Admin.Tests.Secrets;
using NeoCommons.EfCore.Admin.Tests.Secrets.Leaks;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>Rows that somebody has spoilt are refused one by one, and say why in the log and in the health report.</summary>
public sealed class PoisonedRowTests(TestServers servers)
{
    private static readonly (string Column, string Value, string Reason)[] Poison =
    [
        ("host", "'127.0.0.1,10.0.0.1'", "host"),
        ("host", "'/var/run/postgresql'", "host"),
        ("host", "'@abstract'", "host"),
        ("host", "'169.254.169.254'", "host"),
        ("host", "'2852039166'", "host"),
        ("host", "'::ffff:a9fe:a9fe'", "host"),
        ("host", "'fd00:ec2::254'", "host"),
        ("host", "'db.elsewhere'", "host"),
        ("host", "E'127.0.0.1\\nError: all is lost'", "host"),
        ("host", "'127.0.0.1;Search Path=public'", "host"),
        ("port", "0", "port"),
        ("port", "70000", "port"),
        ("database_name", "''", "database name"),
        ("username", "''", "user name"),
        ("pool_max_size", "2000000000", "pool size"),
        ("pool_min_size", "-1", "pool size"),
        ("pool_timeout_seconds", "0", "pool timeout"),
        ("pool_timeout_seconds", "2000000000", "pool timeout"),
        ("pool_recycle_seconds", "-5", "recycle time"),
    ];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_is_refused_with_its_reason_and_the_others_work()
    {
        using var log = new LogRecorder();
        await using var app = await BoundApp.StartAsync(
            servers,
            databases: 1,
            new Dictionary<string, string?> { ["NeoCommons:Connections:AllowedHosts:0"] = servers.Postgres.Host },
            b =>
            {
                b.Services.AddSingleton<ILoggerProvider>(log);
                b.AddTenantDbContext<ShopDbContext>();
            }
        );
        await app.AdminAsync(await DropConstraintsAsync(app));
        for (var i = 0; i < Poison.Length; i++)
        {
            await app.AdminAsync(
                "INSERT INTO admin.database_connections (connection_name, host, database_name, username, encrypted_password, port) "
                    + $"VALUES ('bad{i}', '{servers.Postgres.Host}', 'bad{i}', 'u', "
                    + $"'{await TestApp.PlainTokenAsync(app.Services, "x")}', {servers.Postgres.Port})"
            );
            await app.AdminAsync(
                $"UPDATE admin.database_connections SET {Poison[i].Column} = {Poison[i].Value} WHERE connection_name = 'bad{i}'"
            );
        }

        await app.ReloadAsync();

        await app.CreateTenantAsync("acme", "db1");
        for (var i = 0; i < Poison.Length; i++)
        {
            var name = $"bad{i}";
            var refused = await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
                await app.Databases.OpenConnectionAsync(name, Ct)
            );
            Assert.Equal(ConnectionUnavailableReason.InvalidConfiguration, refused.Reason);
            var health = await BoundApp.HealthAsync(app.Services, name);
            Assert.Equal(
                (ConnectionHealthStatus.Unhealthy, $"InvalidConfiguration: {Poison[i].Reason}"),
                (health.Status, health.Reason)
            );
            Assert.Contains(
                log.Lines,
                line =>
                    line.Contains(
                        $"The row of connection {name} holds values that cannot be used",
                        StringComparison.Ordinal
                    ) && line.Contains("its " + Poison[i].Reason, StringComparison.Ordinal)
            );
        }

        Assert.DoesNotContain(log.Lines, line => line.Contains('\n') && line.Contains("all is lost"));
        Assert.DoesNotContain(
            log.Lines,
            line => line.Contains("connection db1 holds values", StringComparison.Ordinal)
        );
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.True(await shop.Database.CanConnectAsync(Ct));
    }

    [Theory]
    [InlineData("*")]
    [InlineData("a,b")]
    public async Task A_list_of_hosts_that_cannot_be_meant_stops_the_start(string rule)
    {
        using var host = TestApp.BuildHost(
            servers.Postgres,
            "unused",
            new Dictionary<string, string?> { ["NeoCommons:Connections:AllowedHosts:0"] = rule }
        );

        var stopped = await Assert.ThrowsAsync<Microsoft.Extensions.Options.OptionsValidationException>(() =>
            host.StartAsync(Ct)
        );

        Assert.Contains("AllowedHosts", stopped.Message, StringComparison.Ordinal);
    }

    private static async Task<string> DropConstraintsAsync(TestApp app) =>
        (string)
            (
                await app.AdminAsync(
                    "SELECT string_agg('ALTER TABLE admin.database_connections DROP CONSTRAINT ' || conname, ';') FROM pg_constraint "
                        + "WHERE conrelid = 'admin.database_connections'::regclass AND contype = 'c'"
                )
            )!;
}
