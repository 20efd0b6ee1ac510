using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.TenantMigrations;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

/// <summary>Tenants of different types from one template, and creations from it that are finished later.</summary>
public sealed class TemplateTypeTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task A_copy_has_the_tables_of_its_own_type_only(bool inAdminDatabase, bool oneHistory)
    {
        await using var app = await StartAsync(inAdminDatabase, oneHistory);
        await app.Provisioner.RefreshTemplateAsync("home", Ct);
        await app.DirectAsync(
            "home",
            "CREATE TABLE tenant_template.added (n int); INSERT INTO tenant_template.added VALUES (7)"
        );

        await CopyAsync(app, "vet", "clinic");
        await CopyAsync(app, "store", "shop");
        await CopyAsync(app, "plain", null);

        Assert.Equal("added notes", await TablesAsync(app, "tenant_template"));
        Assert.Equal("added notes runs", await TablesAsync(app, "tenant_vet"));
        Assert.Equal("added notes", await TablesAsync(app, "tenant_store"));
        Assert.Equal("added notes", await TablesAsync(app, "tenant_plain"));
        Assert.Equal(7, await app.DirectAsync("home", "SELECT n FROM tenant_vet.added"));
        Assert.Equal(101, await app.DirectAsync("home", "SELECT n FROM tenant_vet.runs"));
        Assert.All(await app.MigrateAllAsync(), r => Assert.Equal(TenantMigrationStatus.UpToDate, r.Status));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_template_that_holds_tables_of_one_type_is_refused_for_the_others(bool oneHistory)
    {
        await using var app = await StartAsync(inAdminDatabase: false, oneHistory);
        await app.Provisioner.RefreshTemplateAsync("home", Ct);
        await app.DirectAsync(
            "home",
            $""""
            SET search_path = tenant_template; CREATE TABLE runs (n int);
            CREATE TABLE IF NOT EXISTS "__EFMigrationsHistory" ("MigrationId" varchar(150) PRIMARY KEY, "ProductVersion" varchar(32) NOT NULL);
            INSERT INTO "__EFMigrationsHistory" VALUES ('{LedgerContext.First}', '10.0.0')
            """"
        );

        var refused = await Assert.ThrowsAsync<TenantConflictException>(() => CopyAsync(app, "store", "shop"));

        Assert.Contains(nameof(LedgerContext), refused.Message);
        Assert.Contains("Drop the template", refused.Message);
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
        await CopyAsync(app, "vet", "clinic");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_doctor_finishes_a_tenant_from_what_it_was_ordered_from(bool withRows)
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false);
        await app.Provisioner.RefreshTemplateAsync("home", Ct);
        await app.DirectAsync(
            "home",
            "CREATE TABLE tenant_template.added (n int); INSERT INTO tenant_template.added VALUES (7)"
        );
        await DieAsync(app, () => CopyAsync(app, "acme", null, withRows));
        Assert.Equal("begun", await app.AdminAsync("SELECT action FROM admin.tenant_events"));

        await MendAsync(app);

        Assert.Equal(
            "added",
            await app.DirectAsync("home", "SELECT relname FROM pg_class WHERE oid = to_regclass('tenant_acme.added')")
        );
        Assert.Equal(withRows ? 1L : 0L, await app.DirectAsync("home", "SELECT count(*) FROM tenant_acme.added"));
        Assert.Equal(
            "begun created",
            await app.AdminAsync("SELECT string_agg(action, ' ' ORDER BY id) FROM admin.tenant_events")
        );
    }

    [Fact]
    public async Task The_order_that_was_repeated_last_is_the_one_that_counts()
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false);
        await app.Provisioner.RefreshTemplateAsync("home", Ct);
        await app.DirectAsync("home", "CREATE TABLE tenant_template.added (n int)");
        await DieAsync(app, () => CopyAsync(app, "acme", null));
        await DieAsync(app, () => app.CreateTenantAsync("acme", "home"));

        await MendAsync(app);

        Assert.Equal(DBNull.Value, await app.DirectAsync("home", "SELECT to_regclass('tenant_acme.added')::text"));
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Equal(0, await shop.Orders.CountAsync(Ct));
    }

    [Fact]
    public async Task A_creation_that_was_taken_back_is_noted_and_leaves_the_name_free()
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false);
        await Assert.ThrowsAsync<TenantConflictException>(() => CopyAsync(app, "acme", null));
        Assert.Equal(
            "begun undone",
            await app.AdminAsync("SELECT string_agg(action, ' ' ORDER BY id) FROM admin.tenant_events")
        );

        Assert.Equal("tenant_acme", (await app.CreateTenantAsync("acme", "home")).Schema.Value);
    }

    /// <summary>What the death of the process leaves.</summary>
    private static async Task DieAsync(TestApp app, Func<Task> create)
    {
        await app.AdminAsync(
            """
            CREATE OR REPLACE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'nobody is there'; END $$;
            CREATE TRIGGER keep BEFORE DELETE ON admin.tenants FOR EACH ROW EXECUTE FUNCTION public.keep()
            """
        );
        await app.DirectAsync(
            "home",
            """
            CREATE OR REPLACE FUNCTION public.die() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); END $$;
            CREATE EVENT TRIGGER die ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.die()
            """
        );
        await Assert.ThrowsAnyAsync<NpgsqlException>(create);
        await app.AdminAsync("DROP TRIGGER keep ON admin.tenants");
        await app.DirectAsync("home", "DROP EVENT TRIGGER die");
        Assert.Equal("provisioning", await app.AdminAsync("SELECT status FROM admin.tenants"));
    }

    private static async Task MendAsync(TestApp app)
    {
        await foreach (var finding in app.Get<ITenantDoctor>().ExamineAsync(new() { Mend = true }, Ct))
        {
            Assert.Equal((TenantFindingKind.HalfMade, true), (finding.Kind, finding.IsMended));
        }

        Assert.Equal("active", await app.AdminAsync("SELECT status FROM admin.tenants"));
        await app.ReloadAsync();
    }

    private static Task<Tenant> CopyAsync(TestApp app, string slug, string? type, bool withRows = true) =>
        app.Provisioner.CreateAsync(
            new()
            {
                Slug = slug,
                Name = slug,
                ConnectionName = "home",
                TenantType = type,
                Source = TenantSource.Template,
                CopyRows = withRows,
            },
            Ct
        );

    private static async Task<object?> TablesAsync(TestApp app, string schema) =>
        await app.DirectAsync(
            "home",
            "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relname NOT LIKE '\\_\\_%' "
                + $"AND relnamespace = '{schema}'::regnamespace"
        );

    private Task<TestApp> StartAsync(bool inAdminDatabase, bool oneHistory) =>
        Homes.StartAsync(
            servers,
            inAdminDatabase,
            b =>
                b.AddTenantDbContext<NotesContext>(o =>
                        o.UseNpgsql(n => _ = oneHistory ? n : n.MigrationsHistoryTable("__notes"))
                    )
                    .AddTenantDbContext<LedgerContext>(o => o.ForTenantTypes("clinic"))
        );
}
