using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Time.Testing;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

/// <summary>Tenants that lack migrations show at the health endpoint, which asks no database for it.</summary>
public sealed class MigrationsHealthTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task It_is_degraded_while_tenants_lack_migrations_and_says_how_many()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        foreach (var slug in new[] { "acme", "globex", "initech" })
        {
            await app.CreateTenantAsync(slug);
        }

        var versions = app.Get<SchemaVersions>();
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(app)).Status);
        await Eventually.TrueAsync(() => versions.Read() is { Active: 3, Behind: 0, Migrating: 0 });

        await app.AdminAsync(
            "UPDATE admin.tenants SET schema_version = '20200101000000_Old' WHERE slug <> 'acme'; "
                + "UPDATE admin.tenants SET migrating_until = now() + interval '1 h' WHERE slug = 'acme'; "
                + "UPDATE admin.tenants SET status = 'suspended' WHERE slug = 'initech'"
        );

        // From memory, for a minute.
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(app)).Status);
        var later = new FakeTimeProvider();
        var counting = ActivatorUtilities.CreateInstance<SchemaVersions>(app.Services, later);
        Assert.Null(counting.Read());
        await Eventually.TrueAsync(() => counting.Read() is { Active: 2, Behind: 1, Migrating: 1 });
        var result = await new MigrationsHealthCheck(counting, later).CheckHealthAsync(new HealthCheckContext(), Ct);
        Assert.Equal(HealthStatus.Degraded, result.Status);
        Assert.StartsWith("1 of 2 tenants lack migrations", result.Description, StringComparison.Ordinal);

        await app.AdminAsync("UPDATE admin.tenants SET schema_version = NULL");
        Assert.Equal(1, counting.Read()!.Behind);
        later.Advance(SchemaVersions.Interval);
        await Eventually.TrueAsync(() => counting.Read() is { Behind: 0 });
    }

    private static async Task<HealthReportEntry> CheckAsync(TestApp app) =>
        (await app.Get<HealthCheckService>().CheckHealthAsync(r => r.Name == MigrationsHealthCheck.Name, Ct))
            .Entries.Single()
            .Value;
}
