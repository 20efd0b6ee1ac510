using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Commands;
using NeoCommons.EfCore.Admin.Tests.Provisioning;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

public sealed class DoctorTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_fleet_that_is_as_it_should_be_has_no_finding()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await AssertAsItShouldBeAsync(app);
    }

    [Fact]
    public async Task Nor_has_one_whose_indexes_are_built_concurrently()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            databases: 2,
            configure: b => b.AddTenantDbContext<IndexedContext>()
        );
        await AssertAsItShouldBeAsync(app);
    }

    [Fact]
    public async Task Nor_has_one_whose_statements_have_comments()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            databases: 2,
            configure: b => b.AddTenantDbContext<ExplainedIndexContext>()
        );
        await AssertAsItShouldBeAsync(app);
    }

    private static async Task AssertAsItShouldBeAsync(TestApp app)
    {
        await app.CreateTenantAsync("acme");
        await app.CreateTenantAsync("globex", "db2");
        await app.DirectAsync("db1", "CREATE SCHEMA shared; CREATE SCHEMA tenant_template; CREATE SCHEMA elsewhere");
        Assert.Empty(await ExamineAsync(app));
    }

    [Fact]
    public async Task Everything_that_is_wrong_is_found_and_what_is_safe_is_mended()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        foreach (var slug in new[] { "behind", "drifted", "half", "healthy", "missing" })
        {
            await app.CreateTenantAsync(slug);
        }

        await app.DirectAsync("db1", "DROP SCHEMA tenant_missing CASCADE");
        await app.DirectAsync("db1", "DROP SCHEMA tenant_behind CASCADE; CREATE SCHEMA tenant_behind");
        await app.DirectAsync(
            "db1",
            "ALTER TABLE tenant_drifted.\"Products\" ADD extra int; CREATE TABLE tenant_drifted.more (n int)"
        );
        await app.DirectAsync("db1", "CREATE SCHEMA tenant_left; CREATE TABLE tenant_left.data (n int)");
        await app.DirectAsync(
            "db1",
            "CREATE SCHEMA tenant_empty; COMMENT ON SCHEMA tenant_empty IS 'NeoCommons tenant 00000000-0000-0000-0000-000000000001'"
        );
        await app.DirectAsync("db1", "DROP SCHEMA tenant_half CASCADE");
        await app.AdminAsync("ALTER TABLE admin.tenants DISABLE TRIGGER set_updated_at");
        await app.AdminAsync(
            "UPDATE admin.tenants SET status = 'provisioning', updated_at = now() - interval '1 hour' WHERE slug = 'half'"
        );
        await app.ReloadAsync();

        var found = await ExamineAsync(app);
        Assert.Equal(
            [
                (TenantFindingKind.OrphanSchema, "tenant_empty"),
                (TenantFindingKind.OrphanSchema, "tenant_left"),
                (TenantFindingKind.Behind, "tenant_behind"),
                (TenantFindingKind.Drift, "tenant_drifted"),
                (TenantFindingKind.HalfMade, "tenant_half"),
                (TenantFindingKind.MissingSchema, "tenant_missing"),
            ],
            found.Select(f => (f.Kind, f.Schema!))
        );
        var drift = found.Single(f => f.Kind == TenantFindingKind.Drift).Message;
        Assert.Contains("column Products.extra is no migration's", drift);
        Assert.Contains("table more is no migration's", drift);
        Assert.All(found, f => Assert.NotEmpty(f.Remedy));
        Assert.All(found, f => Assert.False(f.IsMended));

        var mended = await CommandLine.Of(app).RunAsync("tenants", "doctor", "--fix", "--json");
        Assert.Equal(1, mended.Code);
        Assert.Equal(
            ["tenant_empty", "tenant_behind", "tenant_half"],
            mended
                .Json.EnumerateArray()
                .Where(f => f.GetProperty("isMended").GetBoolean())
                .Select(f => f.GetProperty("schema").GetString())
        );

        var left = await ExamineAsync(app);
        Assert.Equal(
            [TenantFindingKind.OrphanSchema, TenantFindingKind.Drift, TenantFindingKind.MissingSchema],
            left.Select(f => f.Kind)
        );
        Assert.Equal(1L, await app.DirectAsync("db1", "SELECT count(*) FROM pg_class WHERE relname = 'data'"));
        await using var shop = await app.Shop.CreateDbContextAsync("half", Ct);
        Assert.Equal(0, await shop.Products.CountAsync(Ct));
        Assert.Equal(
            0L,
            await app.DirectAsync("db1", "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'neocommons_doctor%'")
        );
    }

    [Fact]
    public async Task A_copy_that_stands_in_for_another_connection_has_no_orphans()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await app.CreateTenantAsync("acme", "db1");
        await app.DirectAsync("db2", "CREATE SCHEMA tenant_acme; CREATE TABLE tenant_acme.data (n int)");
        Assert.Equal(TenantFindingKind.OrphanSchema, Assert.Single(await ExamineAsync(app)).Kind);

        await app.AdminAsync(
            "UPDATE admin.database_connections SET failover_connection = 'db2' WHERE connection_name = 'db1'"
        );
        await app.ReloadAsync();

        Assert.Empty(await ExamineAsync(app));
    }

    [Fact]
    public async Task A_database_that_cannot_be_reached_is_a_finding_and_the_others_are_examined()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await app.CreateTenantAsync("acme");
        await app.CreateTenantAsync("globex", "db2");
        await app.DirectAsync("db2", "DROP SCHEMA tenant_globex CASCADE");
        await app.AdminAsync(
            "UPDATE admin.database_connections SET database_name = 'no_such_database' WHERE connection_name = 'db1'"
        );
        await app.ReloadAsync();

        var found = await ExamineAsync(app);

        Assert.Equal(
            [(TenantFindingKind.Unreachable, "db1"), (TenantFindingKind.MissingSchema, "db2")],
            found.Select(f => (f.Kind, f.ConnectionName))
        );
        var told = await CommandLine.Of(app).RunAsync("tenants", "doctor", "--connection", "db2");
        Assert.Equal(1, told.Code);
        Assert.DoesNotContain("db1", told.Out, StringComparison.Ordinal);
        Assert.Matches("^missing schema  db2  globex\n  What:   .*\n  Remedy: .*\n$", told.Out);
    }

    [Fact]
    public async Task A_deletion_that_was_interrupted_is_told_and_how_to_finish_it()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        foreach (var slug in new[] { "gone", "half", "kept" })
        {
            var tenant = await app.CreateTenantAsync(slug);
            await app.Provisioner.ArchiveAsync(tenant.Id, ct: Ct);
        }

        // Killed after the first, and after the last of its schema.
        await app.AdminAsync(
            "INSERT INTO admin.tenant_events (tenant_id, slug, action, actor) SELECT id, slug, 'deleting', 'me' FROM admin.tenants WHERE slug <> 'kept'"
        );
        await app.DirectAsync(
            "db1",
            $"DROP SCHEMA \"{await app.AdminAsync("SELECT schema_name FROM admin.tenants WHERE slug = 'gone'")}\" CASCADE"
        );

        var found = await ExamineAsync(app);

        Assert.Equal(
            [(TenantFindingKind.HalfDeleted, "gone"), (TenantFindingKind.HalfDeleted, "half")],
            found.Select(f => (f.Kind, f.Slug!))
        );
        Assert.Contains("tenants delete gone --confirm gone", found[0].Remedy);
        Assert.All(found, f => Assert.False(f.CanBeMended));
    }

    [Fact]
    public async Task The_tenants_of_a_disabled_connection_are_not_called_well()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await app.CreateTenantAsync("acme");
        await app.AdminAsync("UPDATE admin.database_connections SET is_active = false");
        await app.ReloadAsync();

        // The one without tenants is nobody's affair.
        var found = Assert.Single(await ExamineAsync(app));
        Assert.Equal((TenantFindingKind.Unreachable, "db1"), (found.Kind, found.ConnectionName));
        Assert.Contains("acme", found.Message);
    }

    [Fact]
    public async Task A_tenant_whose_migration_was_killed_just_now_is_told_at_once()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");
        await app.DirectAsync("db1", "DROP SCHEMA tenant_acme CASCADE; CREATE SCHEMA tenant_acme");
        await app.AdminAsync("UPDATE admin.tenants SET migrating_until = now() + interval '30 seconds'");
        await app.ReloadAsync();

        Assert.Equal(TenantFindingKind.Behind, Assert.Single(await ExamineAsync(app)).Kind);
    }

    [Fact]
    public async Task A_tenant_whose_migration_fails_is_told_with_the_reason()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");
        await app.DirectAsync("db1", "DELETE FROM tenant_acme.\"__EFMigrationsHistory\"");
        await app.Migrator.MigrateAllAsync(ct: Ct);

        var found = Assert.Single(await ExamineAsync(app));

        Assert.Equal(TenantFindingKind.Behind, found.Kind);
        Assert.Contains("42P07", found.Message, StringComparison.Ordinal);
        Assert.StartsWith("Mend what the message says", found.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_belongs_to_another_role_is_named_and_left_alone()
    {
        await using var server = await PostgresServer.StartAsync(ct: Ct);
        await using var app = await TestApp.StartAsync(server);
        await TenantRoleGrantTests.UseOrdinaryUserAsync(app, "");
        await app.CreateTenantAsync("acme");
        await app.CreateTenantAsync("globex");
        await app.CreateTenantAsync("initech");
        await app.CreateTenantAsync("umbrella");
        await app.DirectAsync(
            "db1",
            """
            ALTER TABLE tenant_acme."Products" OWNER TO postgres;
            ALTER SCHEMA tenant_globex OWNER TO postgres;
            CREATE FUNCTION tenant_initech.one() RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE TYPE tenant_umbrella.mood AS ENUM ('good')
            """
        );

        var found = await ExamineAsync(app);

        Assert.Equal(
            ["acme", "globex", "initech", "umbrella"],
            found.Where(f => f.Kind == TenantFindingKind.WrongOwner).Select(f => f.Slug)
        );
        Assert.All(found, f => Assert.Contains("postgres", f.Message));
        Assert.Contains("routine one belongs", found[2].Message);
        Assert.Contains("type mood belongs", found[3].Message);
        Assert.All(found, f => Assert.False(f.CanBeMended));
    }

    private static async Task<List<TenantFinding>> ExamineAsync(TestApp app)
    {
        var found = new List<TenantFinding>();
        await foreach (var finding in app.Get<ITenantDoctor>().ExamineAsync(ct: Ct))
        {
            found.Add(finding);
        }

        return found;
    }
}
