using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

public sealed class SchemaVersionTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_tenant_whose_schema_is_older_than_the_model_is_refused_and_the_others_run()
    {
        await using var app = await StartAsync();
        var behind = await AtAsync(app, "behind", LedgerContext.First);
        var current = await app.CreateTenantAsync("current");

        var refused = await Assert.ThrowsAsync<TenantUnavailableException>(async () => await CreateAsync(app, behind));
        Assert.Contains(LedgerContext.First, refused.Message);
        Assert.Contains(LedgerContext.Third, refused.Message);
        Assert.Contains("ITenantMigrator", refused.Message);
        Assert.NotNull(refused.RetryAfter);
        await using (await CreateAsync(app, current)) { }

        await app.Migrator.MigrateAsync(behind.Id, Ct);
        await using (await CreateAsync(app, behind)) { }
    }

    [Fact]
    public async Task An_injected_context_is_refused_too()
    {
        await using var app = await StartAsync();
        var behind = await AtAsync(app, "behind", LedgerContext.First);
        await using var scope = await app.Services.CreateTenantScopeAsync(behind.Id, Ct);
        Assert.Throws<TenantUnavailableException>(() => scope.ServiceProvider.GetRequiredService<LedgerContext>());
    }

    [Fact]
    public async Task A_context_that_works_on_any_schema_says_so()
    {
        await using var app = await StartAsync(o => o.WhenSchemaIsBehind(SchemaBehind.Allow));
        await using var context = await CreateAsync(app, await AtAsync(app, "behind", LedgerContext.First));
        Assert.Equal(
            1,
            (await context.Database.SqlQueryRaw<int>("SELECT n + 1 AS \"Value\" FROM runs").ToListAsync(Ct))[0]
        );
    }

    [Fact]
    public async Task A_migration_that_is_declared_backward_compatible_is_not_waited_for()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<TolerantContext>()
        );
        var tenant = await app.CreateTenantAsync("acme");
        await SetVersionAsync(app, tenant, TolerantContext.Needed);
        await using (await app.Get<ITenantDbContextFactory<TolerantContext>>().CreateDbContextAsync(tenant.Id, Ct)) { }

        await SetVersionAsync(app, tenant, "20250101000000_Before");
        var refused = await Assert.ThrowsAsync<TenantUnavailableException>(async () =>
            await app.Get<ITenantDbContextFactory<TolerantContext>>().CreateDbContextAsync(tenant.Id, Ct)
        );
        Assert.Contains(TolerantContext.Needed, refused.Message);
    }

    [Fact]
    public async Task A_context_waits_while_its_tenant_is_migrated_and_is_then_made()
    {
        await using var app = await StartAsync(o => o.WaitForMigration(TimeSpan.FromMinutes(2)));
        var tenant = await AtAsync(app, "acme", LedgerContext.First);

        // Somebody reads the table that the migration changes.
        await using var reader = await app.Databases.OpenConnectionAsync("db1", Ct);
        await using var transaction = await reader.BeginTransactionAsync(Ct);
        await new NpgsqlCommand("LOCK TABLE tenant_acme.runs IN ACCESS EXCLUSIVE MODE", reader).ExecuteNonQueryAsync(
            Ct
        );
        var migrating = app.Migrator.MigrateAsync(tenant.Id, Ct);
        await Eventually.TrueAsync(async () =>
            await app.AdminAsync("SELECT migrating_until FROM admin.tenants") is DateTime
        );
        await app.ReloadAsync();

        var making = CreateAsync(app, tenant).AsTask();
        await using (var scope = await app.Services.CreateTenantScopeAsync(tenant.Id, Ct))
        {
            Assert.Throws<TenantUnavailableException>(() => scope.ServiceProvider.GetRequiredService<LedgerContext>());
        }

        Assert.False(making.IsCompleted);
        await transaction.CommitAsync(Ct);
        Assert.Equal(2, (await migrating).Applied.Count);
        await using var context = await making;
        Assert.Equal(
            101,
            (await context.Database.SqlQueryRaw<int>("SELECT n AS \"Value\" FROM runs").ToListAsync(Ct))[0]
        );
    }

    [Fact]
    public async Task Who_waits_too_long_is_refused()
    {
        await using var app = await StartAsync(o => o.WaitForMigration(TimeSpan.Zero));
        var tenant = await app.CreateTenantAsync("acme");
        await app.AdminAsync("UPDATE admin.tenants SET migrating_until = now() + interval '1 minute'");
        await app.ReloadAsync();
        var refused = await Assert.ThrowsAsync<TenantUnavailableException>(async () => await CreateAsync(app, tenant));
        Assert.Contains("being migrated", refused.Message);

        // A runner that has died does not keep it for ever.
        await app.AdminAsync("UPDATE admin.tenants SET migrating_until = now() - interval '1 minute'");
        await app.ReloadAsync();
        await using (await CreateAsync(app, tenant)) { }
    }

    private Task<TestApp> StartAsync(Action<DbContextOptionsBuilder>? options = null) =>
        TestApp.StartAsync(servers.Postgres, configure: b => b.AddTenantDbContext<LedgerContext>(options));

    private static ValueTask<LedgerContext> CreateAsync(TestApp app, Tenant tenant) =>
        app.Get<ITenantDbContextFactory<LedgerContext>>().CreateDbContextAsync(tenant.Id, Ct);

    private static async Task<Tenant> AtAsync(TestApp app, string slug, string version)
    {
        var tenant = await app.CreateTenantAsync(slug);
        await app.DirectAsync(
            "db1",
            $"DELETE FROM {tenant.Schema.Quoted}.\"__EFMigrationsHistory\" WHERE \"MigrationId\" > '{version}'; "
                + $"UPDATE {tenant.Schema.Quoted}.runs SET n = 0"
        );
        await SetVersionAsync(app, tenant, version);
        return tenant;
    }

    private static async Task SetVersionAsync(TestApp app, Tenant tenant, string version)
    {
        await app.AdminAsync($"UPDATE admin.tenants SET schema_version = '{version}' WHERE id = '{tenant.Id}'");
        await app.ReloadAsync();
    }
}
