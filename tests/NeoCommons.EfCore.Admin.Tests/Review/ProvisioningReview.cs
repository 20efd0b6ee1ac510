using System.Transactions;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.Review;

public sealed class ProvisioningReview(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task P01_Two_contexts_in_one_schema_are_both_migrated()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<NotesContext>().AddTenantDbContext<TagsContext>()
        );
        var acme = await app.CreateTenantAsync("acme");
        Assert.Equal(TenantMigrationStatus.UpToDate, (await app.Migrator.MigrateAsync(acme.Id, Ct)).Status);
    }

    [Fact]
    public async Task P02_Create_index_concurrently_does_not_deadlock_with_a_runner_that_waits()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<SlowIndexContext>()
        );
        await app.DirectAsync("db1", "CREATE SCHEMA tenant_acme");
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) SELECT 'acme', 'a', 'tenant_acme', id FROM admin.database_connections"
        );
        var acme = (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!;
        var runs = Enumerable.Range(0, 2).Select(_ => app.Migrator.MigrateAsync(acme.Id, Ct)).ToArray();
        await Task.WhenAll(runs);
    }

    [Fact]
    public async Task P03_Creating_a_tenant_in_a_scope_that_is_rolled_back_leaves_no_schema_or_a_tenant()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        Exception? failure;
        using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            failure = await Record.ExceptionAsync(() => app.CreateTenantAsync("acme"));
        }

        var rows = (long)(await app.AdminAsync("SELECT count(*) FROM admin.tenants"))!;
        var schemas = (long)
            (await app.DirectAsync("db1", "SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_acme'"))!;
        Assert.True(rows == schemas, $"rows {rows}, schemas {schemas}, {failure}");
    }

    [Fact]
    public async Task P04_Creating_again_never_adopts_a_schema_with_foreign_tables()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.DirectAsync("db1", "CREATE SCHEMA tenant_acme CREATE TABLE payroll (secret text)");

        // What a creation leaves that dies between its reservation and its look at the schema.
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id, status) SELECT 'acme', 'a', 'tenant_acme', id, 'provisioning' FROM admin.database_connections"
        );
        await Assert.ThrowsAsync<TenantConflictException>(() => app.CreateTenantAsync("acme"));
    }

    [Fact]
    public async Task P05_A_migration_that_changes_the_search_path_does_not_lead_the_next_one_elsewhere()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<WanderingContext>()
        );
        await app.CreateTenantAsync("acme");
        Assert.Equal(
            0L,
            await app.DirectAsync(
                "db1",
                "SELECT count(*) FROM pg_class WHERE relname = 'wanderer' AND relnamespace = 'public'::regnamespace"
            )
        );
    }

    [Fact]
    public async Task P06_A_migration_that_names_another_schema_is_refused()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<NamingContext>()
        );
        await Record.ExceptionAsync(() => app.CreateTenantAsync("acme"));
        Assert.Equal(
            0L,
            await app.DirectAsync(
                "db1",
                "SELECT count(*) FROM pg_class WHERE relname = 'leak' AND relnamespace = 'public'::regnamespace"
            )
        );
    }

    [Fact]
    public async Task P07_A_dedicated_database_takes_one_tenant_however_many_ask_at_once_and_by_sql()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.AdminAsync("UPDATE admin.database_connections SET connection_type = 'DEDICATED'");
        await app.ReloadAsync();
        await Task.WhenAll(
            Enumerable.Range(0, 6).Select(i => Record.ExceptionAsync(() => app.CreateTenantAsync($"t{i}")).AsTask())
        );
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
    }

    [Fact]
    public async Task P08_The_result_is_not_called_failed_when_the_schema_was_migrated()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<NotesContext>()
        );
        await app.DirectAsync("db1", "CREATE SCHEMA tenant_acme");
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) SELECT 'acme', 'a', 'tenant_acme', id FROM admin.database_connections"
        );
        await app.AdminAsync(
            "CREATE FUNCTION admin.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$; "
                + "CREATE TRIGGER no BEFORE UPDATE ON admin.tenants FOR EACH ROW EXECUTE FUNCTION admin.no()"
        );
        var result = Assert.Single(await app.Migrator.MigrateAllAsync(ct: Ct));
        var migrated = (long)(await app.DirectAsync("db1", "SELECT count(*) FROM pg_class WHERE relname = 'notes'"))!;
        Assert.False(
            result.Status == TenantMigrationStatus.Failed && migrated == 1,
            "Failed: 'the schema is as it was'; it is not"
        );
    }

    [Fact]
    public async Task P09_A_connection_registered_a_moment_ago_can_take_a_tenant()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?> { ["NeoCommons:AdminDatabase:RefreshInterval"] = "01:00:00" }
        );
        await TestApp.RegisterAsync(
            app.Services,
            servers.Postgres,
            "late",
            await servers.Postgres.CreateDatabaseAsync(ct: Ct)
        );
        await app.CreateTenantAsync("acme", "late");
    }

    [Fact]
    public async Task P10_UseSeeding_runs_or_is_refused()
    {
        var seeded = 0;
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b =>
                b.AddTenantDbContext<ShopDbContext>(o =>
                    o.UseSeeding((_, _) => seeded++)
                        .UseAsyncSeeding(
                            (_, _, _) =>
                            {
                                seeded++;
                                return Task.CompletedTask;
                            }
                        )
                )
        );
        var refused = await Record.ExceptionAsync(() => app.CreateTenantAsync("acme"));
        Assert.True(seeded > 0 || refused is not null);
    }
}

public class NotesContext(DbContextOptions<NotesContext> options) : DbContext(options);

[DbContext(typeof(NotesContext)), Migration("20260101000000_Notes")]
public sealed class CreateNotes : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("CREATE TABLE notes (n int)");
}

public class TagsContext(DbContextOptions<TagsContext> options) : DbContext(options);

[DbContext(typeof(TagsContext)), Migration("20260102000000_Tags")]
public sealed class CreateTags : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("CREATE TABLE tags (n int)");
}

public class SlowIndexContext(DbContextOptions<SlowIndexContext> options) : DbContext(options);

[DbContext(typeof(SlowIndexContext)), Migration("20260101000000_Table")]
public sealed class CreateSlow : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql("CREATE TABLE slow (n int); SELECT pg_sleep(1)");
}

[DbContext(typeof(SlowIndexContext)), Migration("20260102000000_Index")]
public sealed class IndexSlow : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql("CREATE INDEX CONCURRENTLY ix_slow ON slow (n)", suppressTransaction: true);
}

public class WanderingContext(DbContextOptions<WanderingContext> options) : DbContext(options);

[DbContext(typeof(WanderingContext)), Migration("20260101000000_Dump")]
public sealed class PastedDump : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("SET search_path = public");
}

[DbContext(typeof(WanderingContext)), Migration("20260102000000_Wanderer")]
public sealed class CreateWanderer : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql("CREATE TABLE wanderer (n int)");
}

public class NamingContext(DbContextOptions<NamingContext> options) : DbContext(options);

[DbContext(typeof(NamingContext)), Migration("20260101000000_Leak")]
public sealed class CreateLeak : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.CreateTable("leak", t => new { Id = t.Column<int>() }, schema: "public");
}
