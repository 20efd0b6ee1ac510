using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Admin.Tests.TenantMigrations;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

public sealed class TenantProvisionerTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_created_tenant_can_be_used_at_once(bool inAdminDatabase)
    {
        await using var app = await StartAsync<ShopDbContext>(inAdminDatabase);

        var tenant = await app.CreateTenantAsync("acme", "home");

        Assert.Equal(
            (TenantStatus.Active, "tenant_acme", "home"),
            (tenant.Status, tenant.Schema.Value, tenant.ConnectionName)
        );
        Assert.EndsWith("_InitialShop", tenant.SchemaVersion);
        Assert.Equal(tenant, await app.Get<ITenantStore>().FindAsync(tenant.Id, Ct));
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        shop.Products.Add(
            new Product
            {
                Sku = "1",
                Name = "n",
                Price = 1,
            }
        );
        Assert.Equal(1, await shop.SaveChangesAsync(Ct));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_migration_that_fails_leaves_nothing_of_the_tenant(bool inAdminDatabase)
    {
        await using var app = await StartAsync<LedgerContext>(inAdminDatabase);

        await Assert.ThrowsAsync<PostgresException>(() => app.CreateTenantAsync("bad-one", "home"));

        await AssertNothingLeftAsync(app, "bad-one");
        await app.CreateTenantAsync("good", "home");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_failure_after_a_migration_without_transaction_leaves_nothing_of_the_tenant(bool inAdminDatabase)
    {
        await using var app = await StartAsync<IndexedContext>(inAdminDatabase);

        await Assert.ThrowsAsync<PostgresException>(() => app.CreateTenantAsync("bad-one", "home"));

        await AssertNothingLeftAsync(app, "bad-one");
        var good = await app.CreateTenantAsync("good", "home");
        Assert.Equal("20260102000000_Index", good.SchemaVersion);
    }

    [Fact]
    public async Task A_cancelled_creation_leaves_nothing_of_the_tenant()
    {
        await using var app = await StartAsync<LedgerContext>(inAdminDatabase: false);
        using var cancel = new CancellationTokenSource();
        await using var blocker = new NpgsqlConnection(
            servers.Postgres.GetConnectionString(await DatabaseOfAsync(app))
        );
        await blocker.OpenAsync(Ct);
        await using (
            var hold = new NpgsqlCommand(
                "SELECT pg_advisory_lock(hashtextextended('neocommons.migrate:tenant_acme', 0))",
                blocker
            )
        )
        {
            await hold.ExecuteNonQueryAsync(Ct);
        }

        var creation = app.Provisioner.CreateAsync(
            new()
            {
                Slug = "acme",
                Name = "n",
                ConnectionName = "home",
            },
            cancel.Token
        );
        while ((long)(await app.AdminAsync("SELECT count(*) FROM admin.tenants"))! == 0)
        {
            await Task.Delay(10, Ct);
        }

        await Task.Delay(200, Ct);
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => creation);
        await AssertNothingLeftAsync(app, "acme");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_taken_slug_is_refused_and_the_tenant_that_has_it_keeps_its_rows(bool inAdminDatabase)
    {
        await using var app = await StartAsync<ShopDbContext>(inAdminDatabase);
        await app.CreateTenantAsync("acme", "home");
        await using (var shop = await app.Shop.CreateDbContextAsync("acme", Ct))
        {
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

        var refused = await Assert.ThrowsAsync<TenantConflictException>(() => app.CreateTenantAsync("acme", "home"));

        Assert.Equal("acme", refused.Slug);
        await using var again = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Equal(1, await again.Products.CountAsync(Ct));
    }

    [Theory]
    [InlineData("TABLE tenant_acme.precious (n int) PARTITION BY RANGE (n)")]
    [InlineData("VIEW tenant_acme.precious AS SELECT 1 AS n")]
    [InlineData("MATERIALIZED VIEW tenant_acme.precious AS SELECT 1 AS n")]
    [InlineData("SEQUENCE tenant_acme.precious")]
    [InlineData("TYPE tenant_acme.precious AS ENUM ('a')")]
    [InlineData("TYPE tenant_acme.precious AS (n int)")]
    [InlineData("TYPE tenant_acme.precious AS RANGE (subtype = int)")]
    [InlineData("TYPE tenant_acme.precious")]
    [InlineData("DOMAIN tenant_acme.precious AS int")]
    [InlineData("FUNCTION tenant_acme.precious() RETURNS int LANGUAGE sql AS 'SELECT 1'")]
    [InlineData("PROCEDURE tenant_acme.precious() LANGUAGE sql AS 'SELECT 1'")]
    [InlineData("AGGREGATE tenant_acme.precious(int) (SFUNC = int4pl, STYPE = int)")]
    [InlineData("OPERATOR tenant_acme.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)", "===")]
    [InlineData("COLLATION tenant_acme.precious FROM \"C\"")]
    [InlineData("TEXT SEARCH CONFIGURATION tenant_acme.precious (COPY = pg_catalog.simple)")]
    [InlineData("TABLE public.precious (n int); ALTER TABLE public.precious SET SCHEMA tenant_acme")]
    public async Task A_schema_that_holds_anything_of_somebody_else_is_refused(string what, string name = "precious")
    {
        await using var app = await StartAsync<ShopDbContext>(inAdminDatabase: false);
        await app.DirectAsync("home", $"CREATE SCHEMA tenant_acme; CREATE {what}");

        var refused = await Assert.ThrowsAsync<TenantConflictException>(() => app.CreateTenantAsync("acme", "home"));

        Assert.Contains(name, refused.Message);
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("ALTER DEFAULT PRIVILEGES IN SCHEMA tenant_acme GRANT SELECT ON TABLES TO PUBLIC")]
    public async Task A_schema_that_holds_nothing_is_used(string prepared)
    {
        await using var app = await StartAsync<ShopDbContext>(inAdminDatabase: false);
        await app.DirectAsync("home", $"CREATE SCHEMA tenant_acme; {prepared}");

        await app.CreateTenantAsync("acme", "home");

        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Equal(0, await shop.Products.CountAsync(Ct));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_schema_that_holds_somebody_elses_tables_is_refused_and_left_alone(bool inAdminDatabase)
    {
        await using var app = await StartAsync<ShopDbContext>(inAdminDatabase);
        await app.DirectAsync("home", "CREATE SCHEMA tenant_acme CREATE TABLE precious (n int)");
        await app.DirectAsync("home", "INSERT INTO tenant_acme.precious VALUES (42)");

        var refused = await Assert.ThrowsAsync<TenantConflictException>(() => app.CreateTenantAsync("acme", "home"));

        Assert.Contains("tenant_acme", refused.Message);
        Assert.Contains("precious", refused.Message);
        Assert.Equal(42, await app.DirectAsync("home", "SELECT n FROM tenant_acme.precious"));
        Assert.Equal(
            1L,
            await app.DirectAsync(
                "home",
                "SELECT count(*) FROM pg_class WHERE relnamespace = 'tenant_acme'::regnamespace AND relkind = 'r'"
            )
        );
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
    }

    [Fact]
    public async Task An_empty_schema_that_a_database_administrator_made_is_used()
    {
        await using var app = await StartAsync<ShopDbContext>(inAdminDatabase: false);
        await app.DirectAsync("home", "CREATE SCHEMA tenant_acme");

        await app.CreateTenantAsync("acme", "home");

        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Empty(await shop.Products.ToListAsync(Ct));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(201)]
    public async Task A_name_that_the_registry_could_not_hold_is_refused(int length)
    {
        await using var app = await StartAsync<ShopDbContext>(inAdminDatabase: false);

        foreach (var name in new[] { new string('n', length), "a\0b" })
        {
            await Assert.ThrowsAnyAsync<ArgumentException>(() =>
                app.Provisioner.CreateAsync(
                    new()
                    {
                        Slug = "acme",
                        Name = name,
                        ConnectionName = "home",
                    },
                    Ct
                )
            );
        }
    }

    [Theory]
    [InlineData("Acme")]
    [InlineData("a")]
    [InlineData("acme; DROP SCHEMA public")]
    [InlineData("template")]
    [InlineData("ädam")]
    public async Task A_bad_slug_is_refused_before_anything_is_asked_of_a_database(string slug)
    {
        await using var app = await StartAsync<ShopDbContext>(inAdminDatabase: false);

        await Assert.ThrowsAsync<InvalidSchemaNameException>(() => app.CreateTenantAsync(slug, "home"));

        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Of_many_that_create_the_same_slug_at_once_one_succeeds(bool inAdminDatabase)
    {
        await using var app = await StartAsync<ShopDbContext>(inAdminDatabase);

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(TryAsync)));

        Assert.Single(outcomes, e => e is null);
        Assert.All(outcomes.Where(e => e is not null), e => Assert.IsType<TenantConflictException>(e));
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Empty(await shop.Products.ToListAsync(Ct));

        async Task<Exception?> TryAsync()
        {
            try
            {
                await app.CreateTenantAsync("acme", "home");
                return null;
            }
            catch (Exception e)
            {
                return e;
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_creation_that_was_interrupted_goes_on_where_it_stopped(bool schemaWasMade)
    {
        await using var app = await StartAsync<ShopDbContext>(inAdminDatabase: false);
        var first = await app.CreateTenantAsync("acme", "home");
        await app.AdminAsync("UPDATE admin.tenants SET status = 'provisioning', schema_version = NULL");
        if (!schemaWasMade)
        {
            await app.DirectAsync("home", "DROP SCHEMA tenant_acme CASCADE");
        }

        await app.ReloadAsync();
        await Assert.ThrowsAsync<TenantUnavailableException>(async () =>
            await app.Shop.CreateDbContextAsync("acme", Ct)
        );

        var again = await app.CreateTenantAsync("acme", "home");

        Assert.Equal(first, again);
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Empty(await shop.Products.ToListAsync(Ct));
    }

    [Fact]
    public async Task A_dedicated_database_takes_one_tenant()
    {
        await using var app = await StartAsync<ShopDbContext>(inAdminDatabase: false);
        await app.AdminAsync("UPDATE admin.database_connections SET connection_type = 'DEDICATED'");
        await app.CreateTenantAsync("acme", "home");

        await Assert.ThrowsAsync<TenantConflictException>(() => app.CreateTenantAsync("globex", "home"));

        Assert.Equal(
            0L,
            await app.DirectAsync("home", "SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_globex'")
        );
    }

    [Fact]
    public async Task A_connection_that_cannot_be_used_leaves_no_trace_of_the_tenant()
    {
        await using var app = await StartAsync<ShopDbContext>(inAdminDatabase: false);
        await app.AdminAsync(
            "INSERT INTO admin.database_connections (connection_name, host, port, database_name, username, encrypted_password, ssl_mode) "
                + "SELECT 'gone', host, 1, 'nowhere', username, encrypted_password, 'disable' FROM admin.database_connections"
        );
        await app.ReloadAsync();

        await Assert.ThrowsAsync<ConnectionNotFoundException>(() => app.CreateTenantAsync("acme", "nosuch"));
        await Assert.ThrowsAsync<ConnectionUnavailableException>(() => app.CreateTenantAsync("acme", "gone"));

        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
        await app.CreateTenantAsync("acme", "home");
    }

    private async Task<TestApp> StartAsync<TContext>(bool inAdminDatabase)
        where TContext : DbContext
    {
        var app = await TestApp.StartAsync(
            servers.Postgres,
            databases: 0,
            configure: b => b.AddTenantDbContext<TContext>()
        );
        var database = inAdminDatabase
            ? new NpgsqlConnectionStringBuilder(app.AdminConnectionString).Database!
            : await servers.Postgres.CreateDatabaseAsync(ct: Ct);
        await TestApp.RegisterAsync(app.Services, servers.Postgres, "home", database);
        await app.ReloadAsync();
        return app;
    }

    private static async Task<string> DatabaseOfAsync(TestApp app) =>
        (string)(await app.AdminAsync("SELECT database_name FROM admin.database_connections"))!;

    private static async Task AssertNothingLeftAsync(TestApp app, string slug)
    {
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
        Assert.Equal(
            0L,
            await app.DirectAsync("home", $"SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_{slug}'")
        );
        await Assert.ThrowsAsync<TenantNotFoundException>(async () =>
            await app.Databases.OpenTenantConnectionAsync(
                (await app.Get<ITenantStore>().FindBySlugAsync(slug, Ct))?.Id ?? TenantId.New(),
                Ct
            )
        );
    }
}
