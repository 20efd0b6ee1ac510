using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using NeoCommons.EfCore.Admin.Tests.Secrets.Leaks;

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

    [Fact]
    public async Task While_they_cannot_be_counted_it_is_tried_once_a_minute_and_the_age_of_the_answer_is_told()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");
        var time = new FakeTimeProvider();
        using var log = new LogRecorder();
        using var loggers = LoggerFactory.Create(b => b.AddProvider(log));
        var counting = ActivatorUtilities.CreateInstance<SchemaVersions>(
            app.Services,
            time,
            loggers.CreateLogger<SchemaVersions>()
        );
        await Eventually.TrueAsync(() => counting.Read() is { Active: 1 });
        await app.AdminAsync("ALTER TABLE admin.tenants RENAME TO away");

        time.Advance(SchemaVersions.Interval);
        for (var i = 0; i < 20; i++)
        {
            counting.Read();
        }

        await Eventually.EqualAsync(1, FailuresAsync);
        counting.Read();
        time.Advance(SchemaVersions.Interval);
        counting.Read();
        await Eventually.EqualAsync(2, FailuresAsync);
        var result = await new MigrationsHealthCheck(counting, time).CheckHealthAsync(new HealthCheckContext(), Ct);

        Assert.Equal(HealthStatus.Healthy, result.Status);
        Assert.Contains("Counted 2 minutes ago", result.Description, StringComparison.Ordinal);
        await app.AdminAsync("ALTER TABLE admin.away RENAME TO tenants");

        Task<int> FailuresAsync() =>
            Task.FromResult(log.Lines.Count(l => l.Contains(" 5023: ", StringComparison.Ordinal)));
    }

    private static async Task<HealthReportEntry> CheckAsync(TestApp app) =>
        (await app.Get<HealthCheckService>().CheckHealthAsync(r => r.Name == MigrationsHealthCheck.Name, Ct))
            .Entries.Single()
            .Value;
}
