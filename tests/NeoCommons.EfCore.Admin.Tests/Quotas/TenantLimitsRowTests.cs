using System.Text.Json;
using NeoCommons.EfCore.Admin.Tests.Commands;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Quotas;

/// <summary>A tenant's limits in its row: what is read, what is refused, and who hears of it.</summary>
public sealed class TenantLimitsRowTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_plain_update_is_live_for_the_next_open_and_other_keys_are_left_alone()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var acme = await app.CreateTenantAsync("acme");
        Assert.Equal(TenantLimits.None, acme.Limits);
        await using var first = await app.Databases.OpenTenantConnectionAsync(acme.Id, Ct);

        await app.AdminAsync(
            """
            UPDATE admin.tenants SET limits = '{"max_connections": 1, "max_waiting": 0, "statement_timeout_ms": 30000,
                "commands_per_second": 100, "max_users": "many"}'
            """
        );
        await app.ReloadAsync();

        Assert.Equal(
            new TenantLimits
            {
                MaxConnections = 1,
                MaxWaiting = 0,
                StatementTimeout = TimeSpan.FromSeconds(30),
                CommandsPerSecond = 100,
            },
            (await app.Get<ITenantStore>().FindAsync(acme.Id, Ct))!.Limits
        );
        var refused = await Assert.ThrowsAsync<TenantQuotaExceededException>(async () =>
            await app.Databases.OpenTenantConnectionAsync(acme.Id, Ct)
        );
        Assert.Equal(TenantQuota.Waiting, refused.Quota);
        await app.Provisioner.LimitAsync(acme.Id, new TenantLimits { MaxConnections = 2 }, Ct);
        Assert.Equal(
            """{"max_users": "many", "max_connections": 2}""",
            await app.AdminAsync("SELECT limits::text FROM admin.tenants")
        );
        await using var second = await app.Databases.OpenTenantConnectionAsync(acme.Id, Ct);
    }

    [Theory]
    [InlineData("max_connections", "0")]
    [InlineData("max_connections", "1025")]
    [InlineData("max_connections", "\"5\"")]
    [InlineData("max_connections", "2.5")]
    [InlineData("max_connections", "2.0")]
    [InlineData("max_connections", "[1]")]
    [InlineData("max_waiting", "-1")]
    [InlineData("statement_timeout_ms", "0")]
    [InlineData("statement_timeout_ms", "86400001")]
    [InlineData("commands_per_second", "true")]
    public async Task A_value_that_cannot_be_is_refused_by_the_database(string key, string value)
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");

        var refused = await Assert.ThrowsAsync<PostgresException>(() =>
            app.AdminAsync($"UPDATE admin.tenants SET limits = jsonb_build_object('{key}', '{value}'::jsonb)")
        );

        Assert.Equal("ck_tenants_limits_" + key, refused.ConstraintName);
        await app.AdminAsync($"UPDATE admin.tenants SET limits = jsonb_build_object('{key}', null)");
        Assert.Throws<FormatException>(() => TenantLimitsText.Parse($$"""{"{{key}}": {{value}}}"""));
    }

    [Fact]
    public void A_value_of_a_process_that_knew_no_limits_is_readable()
    {
        var row = JsonSerializer.Deserialize<TenantRow>(
            """
            {"Id": "9d3c2f5e-0000-4000-8000-000000000001", "Slug": "acme", "Name": "Acme", "SchemaName": "tenant_acme",
                "ConnectionName": "db1", "Status": "active"}
            """
        )!;

        Assert.Equal(TenantLimits.None, row.ToTenant().Limits);
    }

    [Fact]
    public async Task The_command_changes_what_is_given_and_is_audited()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");
        var line = CommandLine.Of(app);

        (await line.RunAsync("tenants", "limits", "acme")).Failed(2, "--max-connections");
        (await line.RunAsync("tenants", "limits", "acme", "--max-connections", "0")).Failed(2, "1 to 1024");
        var dry = await line.RunAsync("tenants", "limits", "acme", "--max-connections", "3", "--dry-run", "--json");
        Assert.Equal(
            3,
            dry.IsOk().Json.GetProperty("after").GetProperty("limits").GetProperty("maxConnections").GetInt32()
        );
        Assert.Equal("{}", await app.AdminAsync("SELECT limits::text FROM admin.tenants"));

        (
            await line.RunAsync("tenants", "limits", "acme", "--max-connections", "3", "--statement-timeout-ms", "500")
        ).IsOk();
        var done = await line.RunAsync("tenants", "limits", "acme", "--max-waiting", "7", "--json");
        Assert.Equal(7, done.IsOk().Json.GetProperty("limits").GetProperty("maxWaiting").GetInt32());
        Assert.Equal(
            new TenantLimits
            {
                MaxConnections = 3,
                MaxWaiting = 7,
                StatementTimeout = TimeSpan.FromMilliseconds(500),
            },
            (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!.Limits
        );
        Assert.Contains(
            "\"max_waiting\":7",
            (await line.RunAsync("tenants", "show", "acme")).IsOk().Out,
            StringComparison.Ordinal
        );

        (await line.RunAsync("tenants", "limits", "acme", "--clear", "--commands-per-second", "9")).IsOk();
        Assert.Equal("""{"commands_per_second": 9}""", await app.AdminAsync("SELECT limits::text FROM admin.tenants"));
        Assert.Equal(
            """{"max_waiting": 7, "max_connections": 3, "statement_timeout_ms": 500}|{"commands_per_second":9}""",
            await app.AdminAsync(
                "SELECT details->>'formerLimits' || '|' || (details->>'limits') FROM admin.tenant_events "
                    + "WHERE action = 'limited' ORDER BY id DESC LIMIT 1"
            )
        );
        Assert.Equal(3L, await app.AdminAsync("SELECT count(*) FROM admin.tenant_events WHERE action = 'limited'"));
    }
}
