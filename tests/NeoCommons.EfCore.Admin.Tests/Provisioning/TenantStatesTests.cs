using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

public sealed class TenantStatesTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_change_is_audited_with_who_and_why()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b =>
            {
                b.AddTenantDbContext<ShopDbContext>();
                b.Services.AddSingleton<ILifecycleActor>(new NamedActor("jane"));
            }
        );
        var acme = await app.CreateTenantAsync("acme");
        await app.Provisioner.SuspendAsync(acme.Id, "unpaid", Ct);
        await app.Provisioner.ResumeAsync(acme.Id, Ct);
        await app.Provisioner.RenameAsync(acme.Id, new() { Slug = "globex", Name = "Globex" }, Ct);
        await app.Provisioner.ArchiveAsync(acme.Id, reason: "left", ct: Ct);
        await app.Provisioner.RestoreAsync(acme.Id, Ct);
        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);
        await app.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "globex" }, Ct);

        Assert.Equal(
            "created suspended resumed renamed archived restored archived deleting deleted",
            await app.AdminAsync("SELECT string_agg(action, ' ' ORDER BY id) FROM admin.tenant_events")
        );
        Assert.Equal(9L, await app.AdminAsync("SELECT count(*) FROM admin.tenant_events WHERE actor = 'jane'"));
        Assert.Equal(
            "unpaid",
            await app.AdminAsync("SELECT details->>'reason' FROM admin.tenant_events WHERE action = 'suspended'")
        );
        Assert.Equal(
            "acme",
            await app.AdminAsync("SELECT details->>'formerSlug' FROM admin.tenant_events WHERE action = 'renamed'")
        );
    }

    [Fact]
    public async Task What_is_done_already_changes_nothing_and_is_no_event()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var acme = await app.CreateTenantAsync("acme");
        await app.Provisioner.ResumeAsync(acme.Id, Ct);
        await app.Provisioner.SuspendAsync(acme.Id, ct: Ct);
        await app.Provisioner.SuspendAsync(acme.Id, ct: Ct);
        await app.Provisioner.RenameAsync(acme.Id, new() { Slug = "acme" }, Ct);
        await app.Provisioner.ArchiveAsync(acme.Id, ct: Ct);
        await app.Provisioner.ArchiveAsync(acme.Id, ct: Ct);

        Assert.Equal(3L, await app.AdminAsync("SELECT count(*) FROM admin.tenant_events"));
    }

    [Fact]
    public async Task What_the_status_does_not_allow_is_refused_with_the_remedy()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var acme = await app.CreateTenantAsync("acme");

        var active = await Assert.ThrowsAsync<TenantStateException>(() =>
            app.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "acme" }, Ct)
        );
        Assert.Equal((TenantStatus.Active, "acme"), (active.Status, active.Slug));
        Assert.Contains("Archive it first", active.Message);

        await app.Provisioner.ArchiveAsync(acme.Id, ct: Ct);
        foreach (
            var refused in new Func<Task>[]
            {
                () => app.Provisioner.SuspendAsync(acme.Id, ct: Ct),
                () => app.Provisioner.ResumeAsync(acme.Id, Ct),
                () => app.Provisioner.RenameAsync(acme.Id, new() { Name = "n" }, Ct),
            }
        )
        {
            Assert.Contains("Restore it first", (await Assert.ThrowsAsync<TenantStateException>(refused)).Message);
        }

        await app.AdminAsync("UPDATE admin.tenants SET status = 'provisioning'");
        await Assert.ThrowsAsync<TenantStateException>(() => app.Provisioner.SuspendAsync(acme.Id, ct: Ct));
        await Assert.ThrowsAsync<TenantNotFoundException>(() => app.Provisioner.SuspendAsync(TenantId.New(), ct: Ct));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_renamed_tenant_keeps_its_rows_under_its_new_schema(bool inAdminDatabase)
    {
        await using var app = await StartAsync(inAdminDatabase);
        var acme = await app.CreateTenantAsync("acme", "home");
        await AddProductAsync(app, acme.Id);

        var globex = await app.Provisioner.RenameAsync(acme.Id, new() { Slug = "globex", RenameSchema = true }, Ct);

        Assert.Equal(("globex", "tenant_globex", acme.Id), (globex.Slug, globex.Schema.Value, globex.Id));
        Assert.Equal(1, await CountAsync(app, acme.Id));
        await Assert.ThrowsAsync<TenantNotFoundException>(async () => await app.Shop.CreateDbContextAsync("acme", Ct));
        Assert.Equal(TenantMigrationStatus.UpToDate, (await app.Migrator.MigrateAsync(acme.Id, Ct)).Status);
    }

    [Fact]
    public async Task A_function_that_pins_its_search_path_follows_the_schema()
    {
        await using var app = await StartAsync(inAdminDatabase: false);
        var acme = await app.CreateTenantAsync("acme", "home");
        await AddProductAsync(app, acme.Id);
        await app.DirectAsync(
            "home",
            "CREATE FUNCTION tenant_acme.pinned() RETURNS bigint LANGUAGE sql SET search_path = tenant_acme, pg_temp AS 'SELECT count(*) FROM \"Products\"'"
        );

        await app.Provisioner.RenameAsync(acme.Id, new() { Slug = "globex", RenameSchema = true }, Ct);

        Assert.Equal(1L, await app.DirectAsync("home", "SELECT tenant_globex.pinned()"));
    }

    [Fact]
    public async Task A_taken_slug_leaves_the_tenant_as_it_was()
    {
        await using var app = await StartAsync(inAdminDatabase: false);
        var acme = await app.CreateTenantAsync("acme", "home");
        await app.CreateTenantAsync("globex", "home");

        await Assert.ThrowsAsync<TenantConflictException>(() =>
            app.Provisioner.RenameAsync(acme.Id, new() { Slug = "globex", RenameSchema = true }, Ct)
        );
        await app.DirectAsync("home", "CREATE SCHEMA tenant_initech");
        await Assert.ThrowsAsync<TenantConflictException>(() =>
            app.Provisioner.RenameAsync(acme.Id, new() { Slug = "initech", RenameSchema = true }, Ct)
        );

        await AddProductAsync(app, acme.Id);
        Assert.Equal("tenant_acme", (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!.Schema.Value);
    }

    [Theory]
    [InlineData("rename")]
    [InlineData("archive")]
    [InlineData("restore")]
    public async Task A_change_that_dies_between_two_databases_is_finished_by_repeating_it(string what)
    {
        await using var app = await StartAsync(inAdminDatabase: false);
        var acme = await app.CreateTenantAsync("acme", "home");
        await AddProductAsync(app, acme.Id);
        if (what == "restore")
        {
            await app.Provisioner.ArchiveAsync(acme.Id, ct: Ct);
        }

        // The registry's commit comes last, and fails.
        await app.AdminAsync(
            """
            CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER die AFTER INSERT ON admin.tenant_events DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION die()
            """
        );
        await Assert.ThrowsAnyAsync<NpgsqlException>(ChangeAsync);
        Assert.Equal(
            what == "restore" ? 1L : 0L,
            await app.DirectAsync("home", "SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_acme'")
        );
        await app.AdminAsync("DROP FUNCTION die CASCADE");

        var after = await ChangeAsync();

        Assert.Equal(
            1L,
            await app.DirectAsync("home", $"SELECT count(*) FROM pg_namespace WHERE nspname = '{after.Schema}'")
        );
        if (what == "archive")
        {
            await app.Provisioner.RestoreAsync(acme.Id, Ct);
        }

        Assert.Equal(1, await CountAsync(app, acme.Id));

        Task<Tenant> ChangeAsync() =>
            what switch
            {
                "rename" => app.Provisioner.RenameAsync(acme.Id, new() { Slug = "globex", RenameSchema = true }, Ct),
                "archive" => app.Provisioner.ArchiveAsync(acme.Id, ct: Ct),
                _ => app.Provisioner.RestoreAsync(acme.Id, Ct),
            };
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_archived_tenant_is_out_of_use_and_comes_back_as_it_was(bool inAdminDatabase)
    {
        await using var app = await StartAsync(inAdminDatabase);
        var acme = await app.CreateTenantAsync("acme", "home");
        await AddProductAsync(app, acme.Id);
        await app.Provisioner.SuspendAsync(acme.Id, ct: Ct);

        var archived = await app.Provisioner.ArchiveAsync(acme.Id, ct: Ct);

        Assert.Equal(TenantStatus.Archived, archived.Status);
        Assert.StartsWith("archived_acme_", archived.Schema.Value, StringComparison.Ordinal);
        Assert.Equal(
            true,
            await app.AdminAsync("SELECT retained_until = archived_at + interval '30 days' FROM admin.tenants")
        );
        await Assert.ThrowsAsync<TenantUnavailableException>(async () =>
            await app.Shop.CreateDbContextAsync(acme.Id, Ct)
        );

        var restored = await app.Provisioner.RestoreAsync(acme.Id, Ct);
        Assert.Equal((TenantStatus.Suspended, acme.Schema), (restored.Status, restored.Schema));
        await app.Provisioner.ResumeAsync(acme.Id, Ct);
        Assert.Equal(1, await CountAsync(app, acme.Id));
    }

    [Fact]
    public void The_longest_slug_makes_an_archive_name_that_postgres_keeps_whole() =>
        Assert.InRange(
            TenantStates.ArchiveNameOf(new string('a', 40), Guid.NewGuid()).Value.Length,
            1,
            SchemaName.MaxBytes
        );

    [Fact]
    public async Task A_schema_that_is_marked_as_another_tenants_is_not_touched()
    {
        await using var app = await StartAsync(inAdminDatabase: false);
        var acme = await app.CreateTenantAsync("acme", "home");
        var globex = await app.CreateTenantAsync("globex", "home");

        // A row that an operator has pointed at the wrong schema.
        await app.AdminAsync("DELETE FROM admin.tenants WHERE slug = 'globex'");
        await app.AdminAsync("UPDATE admin.tenants SET schema_name = 'tenant_globex' WHERE slug = 'acme'");
        await Assert.ThrowsAsync<TenantIsolationException>(() => app.Provisioner.ArchiveAsync(acme.Id, ct: Ct));
        await app.AdminAsync("UPDATE admin.tenants SET status = 'archived'");
        await Assert.ThrowsAsync<TenantIsolationException>(() =>
            app.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "acme" }, Ct)
        );

        Assert.Equal(
            2L,
            await app.DirectAsync("home", "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenant\\_%'")
        );
        Assert.NotEqual(acme.Id, globex.Id);
    }

    [Fact]
    public async Task A_migration_that_runs_is_waited_for_before_the_schema_is_renamed()
    {
        await using var app = await StartAsync(inAdminDatabase: false);
        var acme = await app.CreateTenantAsync("acme", "home");
        var database = (string)(await app.AdminAsync("SELECT database_name FROM admin.database_connections"))!;
        await using var runner = new NpgsqlConnection(servers.Postgres.GetConnectionString(database));
        await runner.OpenAsync(Ct);
        await using (
            var hold = new NpgsqlCommand(
                "SELECT pg_advisory_lock(hashtextextended('neocommons.migrate:tenant_acme', 0))",
                runner
            )
        )
        {
            await hold.ExecuteNonQueryAsync(Ct);
        }

        var archiving = app.Provisioner.ArchiveAsync(acme.Id, ct: Ct);
        while (
            (long)
                (
                    await app.DirectAsync(
                        "home",
                        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_try_advisory_xact_lock%' AND datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )! == 0
        )
        {
            await Task.Delay(20, Ct);
        }

        Assert.False(archiving.IsCompleted);
        await AddProductAsync(app, acme.Id);
        await runner.CloseAsync();
        NpgsqlConnection.ClearPool(runner);
        Assert.Equal(TenantStatus.Archived, (await archiving).Status);
    }

    private static async Task AddProductAsync(TestApp app, TenantId tenant)
    {
        await using var shop = await app.Shop.CreateDbContextAsync(tenant, Ct);
        shop.Products.Add(
            new Product
            {
                Sku = "1",
                Name = "n",
                Price = 1,
            }
        );
        await shop.SaveChangesAsync(Ct);
    }

    private static async Task<int> CountAsync(TestApp app, TenantId tenant)
    {
        await using var shop = await app.Shop.CreateDbContextAsync(tenant, Ct);
        return await shop.Products.CountAsync(Ct);
    }

    private Task<TestApp> StartAsync(bool inAdminDatabase) => Homes.StartAsync(servers, inAdminDatabase);

    private sealed class NamedActor(string name) : ILifecycleActor
    {
        public string Name => name;
    }
}
