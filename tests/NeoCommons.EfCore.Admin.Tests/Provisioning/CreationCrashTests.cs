using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

/// <summary>The server ends the session at each step of a creation; the tenant is absent or complete after a retry.</summary>
public sealed class CreationCrashTests(TestServers servers)
{
    private const string Die = """
        CREATE FUNCTION public.die() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
        """;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<string, bool, bool> Steps
    {
        get
        {
            var data = new TheoryData<string, bool, bool>();
            foreach (var step in new[] { "reserve", "schema", "table", "commit", "activate" })
            {
                data.Add(step, false, false);
                data.Add(step, false, true);
                data.Add(step, true, false);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Steps))]
    public async Task A_tenant_is_absent_or_complete_whichever_step_dies(
        string step,
        bool inAdminDatabase,
        bool cannotUndo
    )
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase);
        if (cannotUndo)
        {
            // What the death of the process leaves: nobody takes anything back.
            await app.AdminAsync(
                """
                CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'nobody is there'; END $$;
                CREATE TRIGGER keep BEFORE DELETE ON admin.tenants FOR EACH ROW EXECUTE FUNCTION public.keep()
                """
            );
        }

        await ArmAsync(app, step);
        var death = await Assert.ThrowsAnyAsync<Exception>(() => app.CreateTenantAsync("acme", "home"));
        Assert.IsAssignableFrom<NpgsqlException>(death.GetBaseException());

        // Whatever is there cannot be used.
        await Assert.ThrowsAnyAsync<NeoCommonsException>(async () => await app.Shop.CreateDbContextAsync("acme", Ct));
        await DisarmAsync(app, step);
        var rows = (long)(await app.AdminAsync("SELECT count(*) FROM admin.tenants"))!;
        if (rows == 0)
        {
            Assert.Equal(0L, await CountSchemasAsync(app));
        }

        Assert.True(rows == 0 || cannotUndo || step == "activate");
        await AssertCompletesAsync(app, app.Services);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_process_that_dies_while_it_seeds_is_followed_by_one_that_finishes(bool inAdminDatabase)
    {
        var script = new ShopSeeder.Script();
        var key = new Dictionary<string, string?> { ["DB_ENCRYPTION_KEY"] = TestApp.NewKey() };
        await using var app = await Homes.StartAsync(servers, inAdminDatabase, Configure, key);
        var seeding = new TaskCompletionSource();
        var never = new TaskCompletionSource();
        script.Then = () =>
        {
            seeding.SetResult();
            return never.Task;
        };
        var abandoned = app.CreateTenantAsync("acme", "home");
        await seeding.Task.WaitAsync(TimeSpan.FromSeconds(60), Ct);

        // The death of a process ends its sessions; other tests have theirs in other databases of the server.
        const string Die =
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND pid IN ("
            + "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
        await app.AdminAsync(Die);
        await app.DirectAsync("home", Die);
        script.Then = () => Task.CompletedTask;
        using var other = TestApp.BuildHost(
            servers.Postgres,
            new NpgsqlConnectionStringBuilder(app.AdminConnectionString).Database!,
            key,
            Configure
        );
        await other.StartAsync(Ct);

        await AssertCompletesAsync(app, other.Services);
        Assert.Equal(2, script.Calls);
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Equal("seed", (await shop.Products.SingleAsync(Ct)).Sku);

        // One that was only cut off, and fails now, takes nothing back that the other has finished.
        never.SetException(new InvalidTimeZoneException("late"));
        await Assert.ThrowsAsync<InvalidTimeZoneException>(() => abandoned);
        Assert.Equal("seed", (await shop.Products.AsNoTracking().SingleAsync(Ct)).Sku);
        Assert.Equal("active", await app.AdminAsync("SELECT status FROM admin.tenants"));
        await other.StopAsync(Ct);

        void Configure(NeoCommonsBuilder b)
        {
            b.AddTenantDbContext<ShopDbContext>().AddTenantSeeder<ShopSeeder>();
            b.Services.AddSingleton(script);
        }
    }

    private static async Task AssertCompletesAsync(TestApp app, IServiceProvider services)
    {
        var made = await services
            .GetRequiredService<ITenantProvisioner>()
            .CreateAsync(
                new()
                {
                    Slug = "acme",
                    Name = "acme",
                    ConnectionName = "home",
                },
                Ct
            );
        Assert.Equal(TenantStatus.Active, made.Status);
        Assert.Equal(1L, await CountSchemasAsync(app));
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.tenant_events"));
        await app.ReloadAsync();
        await using var shop = await app.Shop.CreateDbContextAsync(made.Id, Ct);
        await shop.Orders.CountAsync(Ct);
        Assert.Equal(TenantMigrationStatus.UpToDate, (await app.Migrator.MigrateAsync(made.Id, Ct)).Status);
    }

    private static async Task<long> CountSchemasAsync(TestApp app) =>
        (long)(await app.DirectAsync("home", "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenant\\_%'"))!;

    private static async Task ArmAsync(TestApp app, string step)
    {
        switch (step)
        {
            case "reserve":
                await app.AdminAsync(
                    Die
                        + "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON admin.tenants DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.die()"
                );
                break;
            case "activate":
                await app.AdminAsync(
                    Die
                        + "CREATE CONSTRAINT TRIGGER die AFTER UPDATE ON admin.tenants DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.die()"
                );
                break;
            case "commit":
                await app.DirectAsync(
                    "home",
                    Die
                        + """
                        CREATE FUNCTION public.arm() RETURNS event_trigger LANGUAGE plpgsql AS $$
                        DECLARE t regclass;
                        BEGIN
                            FOR t IN SELECT objid FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '%__EFMigrationsHistory%' AND object_type = 'table' LOOP
                                EXECUTE format('CREATE CONSTRAINT TRIGGER die AFTER INSERT ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.die()', t);
                            END LOOP;
                        END $$;
                        CREATE EVENT TRIGGER die ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.arm()
                        """
                );
                break;
            default:
                await app.DirectAsync(
                    "home",
                    $"""
                    CREATE FUNCTION public.arm() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); END $$;
                    CREATE EVENT TRIGGER die ON ddl_command_end WHEN TAG IN ('CREATE {step.ToUpperInvariant()}') EXECUTE FUNCTION public.arm()
                    """
                );
                break;
        }
    }

    private static async Task DisarmAsync(TestApp app, string step)
    {
        await app.AdminAsync("DROP TRIGGER IF EXISTS keep ON admin.tenants");
        if (step is "reserve" or "activate")
        {
            await app.AdminAsync("DROP FUNCTION public.die() CASCADE");
        }
        else
        {
            await app.DirectAsync("home", "DROP EVENT TRIGGER die");
        }
    }
}
