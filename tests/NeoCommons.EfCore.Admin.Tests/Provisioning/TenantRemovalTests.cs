using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

public sealed class TenantRemovalTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_deletion_needs_the_archive_the_slug_and_the_time(bool inAdminDatabase)
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase);
        var acme = await app.CreateTenantAsync("acme", "home");
        await Assert.ThrowsAsync<TenantStateException>(() => DeleteAsync(new() { ConfirmSlug = "acme", Force = true }));
        await app.Provisioner.ArchiveAsync(acme.Id, ct: Ct);
        await Assert.ThrowsAsync<ArgumentException>(() => DeleteAsync(new() { ConfirmSlug = "acme2", Force = true }));
        var kept = await Assert.ThrowsAsync<TenantStateException>(() => DeleteAsync(new() { ConfirmSlug = "acme" }));
        Assert.Contains("kept until", kept.Message);

        await DeleteAsync(new() { ConfirmSlug = "acme", Force = true });

        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
        Assert.Equal(
            0L,
            await app.DirectAsync("home", "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'archived%'")
        );
        await Assert.ThrowsAsync<TenantNotFoundException>(() => DeleteAsync(new() { ConfirmSlug = "acme" }));
        Assert.Equal(4L, await app.AdminAsync("SELECT count(*) FROM admin.tenant_events"));

        Task DeleteAsync(TenantDeletion deletion) => app.Provisioner.DeleteAsync(acme.Id, deletion, Ct);
    }

    [Fact]
    public async Task A_schema_with_more_than_one_transaction_can_lock_is_dropped()
    {
        await using var app = await Homes.StartAsync(
            servers,
            inAdminDatabase: false,
            settings: new Dictionary<string, string?> { ["NeoCommons:Lifecycle:DropBatch"] = "7" }
        );
        var acme = await app.CreateTenantAsync("acme", "home");
        await app.DirectAsync(
            "home",
            """
            SET search_path = tenant_acme;
            DO $$ BEGIN FOR i IN 1..60 LOOP EXECUTE format('CREATE TABLE t%s (id serial PRIMARY KEY, up int REFERENCES "Orders")', i); END LOOP; END $$;
            CREATE TABLE parts (n int) PARTITION BY LIST (n);
            CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1);
            CREATE SEQUENCE alone;
            CREATE TYPE mood AS ENUM ('good');
            CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE MATERIALIZED VIEW m AS SELECT * FROM t1;
            CREATE VIEW v AS SELECT * FROM m
            """
        );
        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);

        await app.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "acme" }, Ct);

        Assert.Equal(
            0L,
            await app.DirectAsync("home", "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'archived%'")
        );
    }

    [Fact]
    public async Task A_deletion_that_dies_cannot_be_restored_and_is_finished_by_repeating_it()
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false);
        var acme = await app.CreateTenantAsync("acme", "home");
        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);
        await app.DirectAsync(
            "home",
            """
            CREATE FUNCTION die() RETURNS event_trigger LANGUAGE plpgsql AS $$
            BEGIN IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE object_type = 'schema') THEN
                PERFORM pg_terminate_backend(pg_backend_pid()); END IF; END $$;
            CREATE EVENT TRIGGER die ON sql_drop EXECUTE FUNCTION die()
            """
        );
        await Assert.ThrowsAnyAsync<NpgsqlException>(DeleteAsync);
        await app.DirectAsync("home", "DROP EVENT TRIGGER die");

        var begun = await Assert.ThrowsAsync<TenantStateException>(() => app.Provisioner.RestoreAsync(acme.Id, Ct));
        Assert.Contains("Delete it again", begun.Message);
        await DeleteAsync();
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));

        Task DeleteAsync() => app.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "acme" }, Ct);
    }

    [Fact]
    public async Task The_registrys_failure_after_the_drop_is_finished_by_repeating_it()
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false);
        var acme = await app.CreateTenantAsync("acme", "home");
        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);
        await app.AdminAsync(
            """
            CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER die AFTER DELETE ON admin.tenants DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION die()
            """
        );
        await Assert.ThrowsAnyAsync<NpgsqlException>(DeleteAsync);
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
        await app.AdminAsync("DROP FUNCTION die CASCADE");

        await DeleteAsync();

        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));

        Task DeleteAsync() => app.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "acme" }, Ct);
    }

    [Fact]
    public async Task An_export_holds_the_rows_and_comes_before_the_drop()
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false);
        var acme = await app.CreateTenantAsync("acme", "home");
        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);
        var folder = Directory.CreateTempSubdirectory("neocommons-export");
        try
        {
            var file = Path.Combine(folder.FullName, "acme.dump");
            await app.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "acme", ExportTo = file }, Ct);
            Assert.Equal("PGDMP", System.Text.Encoding.ASCII.GetString((await File.ReadAllBytesAsync(file, Ct))[..5]));
            Assert.Single(folder.GetFiles());
            if (!OperatingSystem.IsWindows())
            {
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task An_export_that_fails_deletes_nothing()
    {
        await using var app = await Homes.StartAsync(
            servers,
            inAdminDatabase: false,
            settings: new Dictionary<string, string?> { ["NeoCommons:Lifecycle:PgDump"] = "/nowhere/pg_dump" }
        );
        var acme = await app.CreateTenantAsync("acme", "home");
        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);

        var failed = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            ExportAsync(Path.Combine(Path.GetTempPath(), Guid.NewGuid() + ".dump"))
        );
        await Assert.ThrowsAsync<ArgumentException>(() => ExportAsync("/nowhere/acme.dump"));

        Assert.Contains("NeoCommons:Lifecycle:PgDump", failed.Message);
        await app.Provisioner.RestoreAsync(acme.Id, Ct);
        await (await app.Shop.CreateDbContextAsync(acme.Id, Ct)).DisposeAsync();

        Task ExportAsync(string file) =>
            app.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "acme", ExportTo = file }, Ct);
    }

    [Fact]
    public async Task What_others_made_depend_on_the_tenant_is_named_and_goes_only_where_that_is_asked_for()
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false);
        var acme = await app.CreateTenantAsync("acme", "home");
        await app.DirectAsync(
            "home",
            """
            CREATE FUNCTION tenant_acme.one() RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE VIEW tenant_acme.inner_view AS SELECT * FROM tenant_acme."Orders";
            CREATE SCHEMA reports;
            CREATE VIEW reports.totals AS SELECT count(*) FROM tenant_acme.inner_view;
            CREATE TABLE reports.seen (n int DEFAULT tenant_acme.one(), "order" int CONSTRAINT of_order REFERENCES tenant_acme."Orders")
            """
        );
        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            app.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "acme" }, Ct)
        );

        Assert.Contains(
            "constraint of_order on table reports.seen, table reports.seen, view reports.totals",
            refused.Message
        );
        Assert.Contains(nameof(TenantDeletion.DropDependants), refused.Message);
        await app.Provisioner.RestoreAsync(acme.Id, Ct);
        Assert.Equal(0L, await app.DirectAsync("home", "SELECT count FROM reports.totals"));

        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);
        await app.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "acme", DropDependants = true }, Ct);
        Assert.Equal(
            "seen",
            await app.DirectAsync(
                "home",
                "SELECT string_agg(relname, ' ') FROM pg_class WHERE relnamespace = 'reports'::regnamespace"
            )
        );
    }

    [Fact]
    public async Task The_tenants_role_goes_with_it()
    {
        await using var app = await Homes.StartAsync(
            servers,
            inAdminDatabase: false,
            settings: new Dictionary<string, string?> { ["NeoCommons:Connections:TenantRoles"] = "true" }
        );
        var acme = await app.CreateTenantAsync("acme", "home");
        var role = "neocommons_tenant_" + acme.Id.Value.ToString("N");
        Assert.Equal(1L, await app.AdminAsync($"SELECT count(*) FROM pg_roles WHERE rolname = '{role}'"));
        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);

        await app.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "acme" }, Ct);

        Assert.Equal(0L, await app.AdminAsync($"SELECT count(*) FROM pg_roles WHERE rolname = '{role}'"));
    }

    [Theory]
    [InlineData("Retention", "-00:00:01")]
    [InlineData("DropBatch", "0")]
    [InlineData("PgDump", "")]
    public async Task An_option_that_cannot_work_stops_the_start(string option, string value)
    {
        using var host = TestApp.BuildHost(
            servers.Postgres,
            "unused",
            new Dictionary<string, string?> { ["NeoCommons:Lifecycle:" + option] = value },
            b => b.AddTenantDbContext<ShopDbContext>()
        );
        var stopped = await Assert.ThrowsAsync<Microsoft.Extensions.Options.OptionsValidationException>(() =>
            host.StartAsync(Ct)
        );
        Assert.Contains(option, Assert.Single(stopped.Failures));
    }
}
