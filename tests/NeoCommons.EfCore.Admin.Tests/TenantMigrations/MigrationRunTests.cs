using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

public sealed class MigrationRunTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Create_index_concurrently_does_not_deadlock_with_a_runner_that_waits()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<SlowIndexContext>()
        );
        await app.AdoptAsync("acme");
        var acme = (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!;
        var runs = Enumerable.Range(0, 2).Select(_ => app.Migrator.MigrateAsync(acme.Id, Ct)).ToArray();
        await Task.WhenAll(runs);
    }

    [Fact]
    public async Task A_registry_that_cannot_be_written_does_not_make_a_migrated_tenant_failed()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<NotesContext>()
        );
        await app.AdoptAsync("acme");
        await app.AdminAsync(
            "CREATE FUNCTION admin.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$; "
                + "CREATE TRIGGER no BEFORE UPDATE ON admin.tenants FOR EACH ROW "
                + "WHEN (NEW.schema_version IS DISTINCT FROM OLD.schema_version) EXECUTE FUNCTION admin.no()"
        );
        var acme = (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!;
        var result = await app.Migrator.MigrateAsync(acme.Id, Ct);
        Assert.Equal((TenantMigrationStatus.Migrated, null), (result.Status, result.Error));

        await app.AdminAsync("DROP TRIGGER no ON admin.tenants");
        Assert.Equal(TenantMigrationStatus.UpToDate, Assert.Single(await app.MigrateAllAsync()).Status);
        Assert.Equal("20260101000000_Notes", await app.AdminAsync("SELECT schema_version FROM admin.tenants"));
    }

    [Fact]
    public async Task A_type_that_a_migration_creates_can_be_read_by_the_running_pool()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<LateTypeContext>()
        );
        await using (await app.Databases.OpenConnectionAsync("db1", Ct))
        await using (await app.Databases.OpenConnectionAsync("db1", Ct)) { }

        await app.CreateTenantAsync("acme");
        await using var context = await app.Get<ITenantDbContextFactory<LateTypeContext>>()
            .CreateDbContextAsync("acme", Ct);
        Assert.Equal(
            "x",
            await context.Database.SqlQueryRaw<string>("SELECT c AS \"Value\" FROM late").SingleAsync(Ct)
        );
    }

    [Fact]
    public async Task No_tenant_at_a_time_is_refused()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 0);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() =>
            app.Migrator.MigrateAllAsync(new() { Parallelism = 0 }, ct: Ct)
        );
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() =>
            app.Migrator.MigrateAllAsync(new() { Parallelism = -1 }, ct: Ct)
        );
    }
}
