using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Admin.Tests.TenantMigrations;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

public sealed class WarmPoolTests(TestServers servers)
{
    private const string Ready = "SELECT count(*) FROM admin.warm_schemas WHERE schema_version IS NOT NULL";
    private const string Waiting = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'warm\\_%'";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_new_tenant_gets_a_schema_that_waits_and_another_one_is_made(bool inAdminDatabase)
    {
        await using var app = await StartAsync(2, inAdminDatabase);
        await UntilAsync(async () => (long)(await app.AdminAsync(Ready))! == 2);
        var waiting = (string)
            (
                await app.DirectAsync(
                    "home",
                    "SELECT string_agg(oid::text, ' ') FROM pg_namespace WHERE nspname LIKE 'warm\\_%'"
                )
            )!;

        var acme = await app.CreateTenantAsync("acme", "home");

        Assert.Equal(("tenant_acme", TenantStatus.Active), (acme.Schema.Value, acme.Status));
        Assert.EndsWith("_InitialShop", acme.SchemaVersion);
        Assert.Contains(
            (string)(await app.DirectAsync("home", "SELECT 'tenant_acme'::regnamespace::oid::text"))!,
            waiting.Split(' ')
        );
        Assert.Equal(
            "NeoCommons tenant " + acme.Id,
            await app.DirectAsync("home", "SELECT obj_description('tenant_acme'::regnamespace)")
        );
        await using var shop = await app.Shop.CreateDbContextAsync(acme.Id, Ct);
        Assert.Equal(0, await shop.Orders.CountAsync(Ct));
        await UntilAsync(async () => (long)(await app.AdminAsync(Ready))! == 2);
        Assert.Equal(2L, await app.DirectAsync("home", Waiting));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Of_many_that_create_at_once_no_two_get_the_same_schema(bool inAdminDatabase)
    {
        await using var app = await StartAsync(4, inAdminDatabase);
        await UntilAsync(async () => (long)(await app.AdminAsync(Ready))! == 4);

        var made = await Task.WhenAll(
            Enumerable.Range(0, 10).Select(i => Task.Run(() => app.CreateTenantAsync($"t{i}", "home")))
        );

        foreach (var tenant in made)
        {
            await using var shop = await app.Shop.CreateDbContextAsync(tenant.Id, Ct);
            shop.Orders.Add(new Order { Customer = tenant.Slug });
            await shop.SaveChangesAsync(Ct);
        }

        foreach (var tenant in made)
        {
            await using var shop = await app.Shop.CreateDbContextAsync(tenant.Id, Ct);
            Assert.Equal(tenant.Slug, (await shop.Orders.SingleAsync(Ct)).Customer);
        }

        Assert.Equal(
            10L,
            await app.DirectAsync("home", "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenant\\_%'")
        );
        await UntilAsync(async () => (long)(await app.AdminAsync(Ready))! == 4);
        Assert.Equal(4L, await app.DirectAsync("home", Waiting));
    }

    [Fact]
    public async Task Processes_that_refill_at_once_make_no_more_than_the_size()
    {
        await using var app = await StartAsync(3, inAdminDatabase: false, connections: "elsewhere");
        var stock = app.Get<WarmSchemaStock>();

        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(() => stock.RefillAsync("home", Ct))));

        Assert.Equal((3L, 3L), (await app.AdminAsync(Ready), await app.DirectAsync("home", Waiting)));
    }

    [Fact]
    public async Task No_more_wait_than_the_database_takes_relations()
    {
        await using var app = await StartAsync(20, inAdminDatabase: false, connections: "elsewhere");
        await app.CreateTenantAsync("acme", "home");
        var before = await CountAsync();

        // The creation has counted them, and there is room for far more than one tenant.
        var most = 3 * before;
        await app.AdminAsync($"UPDATE admin.database_connections SET max_relations = {most}");
        await app.Get<WarmSchemaStock>().RefillAsync("home", Ct);

        Assert.InRange(await CountAsync(), most, most + before);

        async Task<long> CountAsync() => (long)(await app.DirectAsync("home", CatalogPressures.CountRelations))!;
    }

    [Fact]
    public async Task A_connection_that_stands_in_for_another_gets_none()
    {
        await using var app = await StartAsync(1, inAdminDatabase: false);
        await UntilAsync(async () => (long)(await app.AdminAsync(Ready))! == 1);

        // Named before it is registered, so that nothing is made there in between.
        await app.AdminAsync("ALTER TABLE admin.database_connections DISABLE TRIGGER ALL");
        await app.AdminAsync("UPDATE admin.database_connections SET failover_connection = 'copy'");
        await TestApp.RegisterAsync(app.Services, app.Server, "copy", "postgres");
        await TestApp.RegisterAsync(
            app.Services,
            app.Server,
            "other",
            new NpgsqlConnectionStringBuilder(app.AdminConnectionString).Database!
        );
        await app.ReloadAsync();

        await UntilAsync(async () => (long)(await app.AdminAsync(Ready))! == 2);
        Assert.Equal(
            "home,other",
            await app.AdminAsync(
                "SELECT string_agg(connection_name, ',' ORDER BY connection_name) FROM admin.warm_schemas w "
                    + "JOIN admin.database_connections c ON c.id = w.connection_id"
            )
        );
    }

    [Fact]
    public async Task Without_one_that_waits_a_tenant_is_made_as_usual()
    {
        await using var app = await StartAsync(3, inAdminDatabase: false, connections: "elsewhere");
        Assert.Equal(TenantStatus.Active, (await app.CreateTenantAsync("acme", "home")).Status);

        // One that was dropped by hand is as good as none.
        await app.Get<WarmSchemaStock>().RefillAsync("home", Ct);
        await app.DirectAsync(
            "home",
            "DO $$ DECLARE s text; BEGIN FOR s IN SELECT nspname FROM pg_namespace WHERE nspname LIKE 'warm\\_%' LOOP EXECUTE format('DROP SCHEMA %I CASCADE', s); END LOOP; END $$"
        );
        var globex = await app.CreateTenantAsync("globex", "home");
        await using var shop = await app.Shop.CreateDbContextAsync(globex.Id, Ct);
        Assert.Equal(0, await shop.Orders.CountAsync(Ct));
    }

    [Fact]
    public async Task A_schema_of_another_kind_is_not_taken()
    {
        await using var app = await StartAsync(1, inAdminDatabase: false, connections: "elsewhere", type: "trial");
        await app.Get<WarmSchemaStock>().RefillAsync("home", Ct);
        await app.CreateTenantAsync("acme", "home");
        Assert.Equal(1L, await app.AdminAsync(Ready));
        await app.Provisioner.CreateAsync(
            new()
            {
                Slug = "globex",
                Name = "n",
                ConnectionName = "home",
                TenantType = "trial",
            },
            Ct
        );
        Assert.Equal(0L, await app.AdminAsync(Ready));
    }

    [Fact]
    public async Task A_schema_that_is_behind_is_migrated_while_it_waits()
    {
        await using var app = await StartAsync<LedgerContext>(1, inAdminDatabase: false, connections: "elsewhere");
        var stock = app.Get<WarmSchemaStock>();
        await stock.RefillAsync("home", Ct);
        var schema = (string)(await app.AdminAsync("SELECT schema_name FROM admin.warm_schemas"))!;
        await app.DirectAsync(
            "home",
            $"UPDATE {schema}.runs SET n = 0; DELETE FROM {schema}.\"__EFMigrationsHistory\" WHERE \"MigrationId\" <> '{LedgerContext.First}'"
        );
        await app.AdminAsync($"UPDATE admin.warm_schemas SET schema_version = '{LedgerContext.First}'");

        await stock.RefillAsync("home", Ct);

        Assert.Equal(101, await app.DirectAsync("home", $"SELECT n FROM {schema}.runs"));
        Assert.Equal(LedgerContext.Third, await app.AdminAsync("SELECT schema_version FROM admin.warm_schemas"));
    }

    [Fact]
    public async Task What_was_begun_or_is_nobodys_is_cleared_away_and_foreign_schemas_stay()
    {
        await using var app = await StartAsync(1, inAdminDatabase: false, connections: "elsewhere");
        var stock = app.Get<WarmSchemaStock>();
        await stock.RefillAsync("home", Ct);
        var first = (string)(await app.AdminAsync("SELECT schema_name FROM admin.warm_schemas"))!;
        await app.AdminAsync("UPDATE admin.warm_schemas SET schema_version = NULL");
        await app.DirectAsync(
            "home",
            "CREATE SCHEMA warm_of_somebody; CREATE SCHEMA warm_other; COMMENT ON SCHEMA warm_other IS 'NeoCommons warm schema'"
        );

        await stock.RefillAsync("home", Ct);

        var second = (string)(await app.AdminAsync("SELECT schema_name FROM admin.warm_schemas"))!;
        Assert.NotEqual(first, second);
        Assert.Equal(
            3L,
            await app.DirectAsync(
                "home",
                $"SELECT count(*) FROM pg_namespace WHERE nspname IN ('warm_of_somebody', 'warm_other', '{second}', '{first}')"
            )
        );
    }

    [Theory]
    [InlineData("ALTER SCHEMA")]
    [InlineData("COMMENT")]
    public async Task A_creation_that_dies_when_it_moves_in_is_finished_by_a_retry(string tag)
    {
        await using var app = await StartAsync(1, inAdminDatabase: false, connections: "elsewhere");
        await app.Get<WarmSchemaStock>().RefillAsync("home", Ct);
        await app.AdminAsync(
            """
            CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'nobody is there'; END $$;
            CREATE TRIGGER keep BEFORE DELETE ON admin.tenants FOR EACH ROW EXECUTE FUNCTION public.keep()
            """
        );
        await app.DirectAsync(
            "home",
            $"""
            CREATE FUNCTION public.die() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); END $$;
            CREATE EVENT TRIGGER die ON ddl_command_end WHEN TAG IN ('{tag}') EXECUTE FUNCTION public.die()
            """
        );
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => app.CreateTenantAsync("acme", "home"));
        Assert.Equal(
            "provisioning",
            await app.AdminAsync("SELECT status FROM admin.tenants WHERE schema_name LIKE 'warm%'")
        );
        await app.DirectAsync("home", "DROP EVENT TRIGGER die");
        await app.Get<WarmSchemaStock>().RefillAsync("home", Ct);

        var acme = await app.CreateTenantAsync("acme", "home");

        Assert.Equal("tenant_acme", acme.Schema.Value);
        Assert.Equal("tenant_acme", await app.AdminAsync("SELECT schema_name FROM admin.tenants"));
        Assert.Equal(1L, await app.DirectAsync("home", Waiting));
        await app.ReloadAsync();
        await using var shop = await app.Shop.CreateDbContextAsync(acme.Id, Ct);
        Assert.Equal(0, await shop.Orders.CountAsync(Ct));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_migration_that_fails_in_a_schema_that_waited_leaves_nothing_of_the_tenant(bool inAdminDatabase)
    {
        await using var app = await StartAsync<LedgerContext>(1, inAdminDatabase, connections: "elsewhere");
        await app.Get<WarmSchemaStock>().RefillAsync("home", Ct);
        var schema = (string)(await app.AdminAsync("SELECT schema_name FROM admin.warm_schemas"))!;
        await app.DirectAsync(
            "home",
            $"DELETE FROM {schema}.\"__EFMigrationsHistory\" WHERE \"MigrationId\" = '{LedgerContext.Third}'"
        );

        await Assert.ThrowsAsync<PostgresException>(() => app.CreateTenantAsync("bad-one", "home"));

        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
        Assert.Equal(
            0L,
            await app.DirectAsync("home", "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenant%'")
        );
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_empty_schema_that_a_database_administrator_made_is_used_though_one_waits(bool inAdminDatabase)
    {
        await using var app = await StartAsync(1, inAdminDatabase, connections: "elsewhere");
        await app.Get<WarmSchemaStock>().RefillAsync("home", Ct);
        await app.DirectAsync("home", "CREATE SCHEMA tenant_acme");

        var acme = await app.CreateTenantAsync("acme", "home");

        await using var shop = await app.Shop.CreateDbContextAsync(acme.Id, Ct);
        Assert.Equal(0, await shop.Orders.CountAsync(Ct));
    }

    private Task<TestApp> StartAsync(int size, bool inAdminDatabase, string? connections = null, string? type = null) =>
        StartAsync<ShopDbContext>(size, inAdminDatabase, connections, type);

    private Task<TestApp> StartAsync<TContext>(
        int size,
        bool inAdminDatabase,
        string? connections = null,
        string? type = null
    )
        where TContext : DbContext =>
        Homes.StartAsync(
            servers,
            inAdminDatabase,
            b => b.AddTenantDbContext<TContext>(),
            new Dictionary<string, string?>
            {
                ["NeoCommons:WarmPool:Size"] = size.ToString(System.Globalization.CultureInfo.InvariantCulture),
                [connections is null ? "Unused" : "NeoCommons:WarmPool:Connections:0"] = connections,
                ["NeoCommons:WarmPool:TenantType"] = type,
                ["NeoCommons:WarmPool:RefillInterval"] = "00:00:01",
            }
        );

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        while (!await holds())
        {
            await Task.Delay(50, limit.Token);
        }
    }
}
