using Dapper;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Admin.Tests.Contexts;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Admin.Tests.TenantMigrations;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

/// <summary>Who has what: roles and rights, as provisioning and migrations leave them.</summary>
public sealed class TenantRoleGrantTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_tenants_role_cannot_log_in_and_owns_nothing()
    {
        await using var app = await StartAsync(TenantRoles.Settings());
        var role = TenantRoles.NameOf((await app.CreateTenantAsync("acme")).Id);

        Assert.Equal(
            "f,f,f,f,f,f",
            await app.DirectAsync(
                "db1",
                "SELECT concat_ws(',', rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls) "
                    + $"FROM pg_roles WHERE rolname = '{role}'"
            )
        );
        Assert.Equal(
            0L,
            await app.DirectAsync(
                "db1",
                $"SELECT count(*) FROM pg_shdepend WHERE refobjid = '{role}'::regrole AND deptype = 'o'"
            )
        );
        Assert.Equal(
            TenantRoles.Group,
            await app.DirectAsync(
                "db1",
                $"SELECT string_agg(roleid::regrole::text, ',') FROM pg_auth_members WHERE member = '{role}'::regrole"
            )
        );
    }

    [Fact]
    public async Task Without_the_option_no_role_is_made()
    {
        await using var app = await StartAsync(TenantRoles.Settings(on: false));
        var role = TenantRoles.NameOf((await app.CreateTenantAsync("acme")).Id);
        await app.MigrateAllAsync();

        Assert.Equal(0L, await app.DirectAsync("db1", $"SELECT count(*) FROM pg_roles WHERE rolname = '{role}'"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Without_the_right_to_create_roles_no_tenant_is_made_and_the_remedy_is_named(bool isTransactional)
    {
        await using var app = await StartAsync(
            TenantRoles.Settings(),
            b =>
            {
                b.AddTenantDbContext<ShopDbContext>();
                if (!isTransactional)
                {
                    b.AddTenantDbContext<IndexedContext>();
                }
            }
        );
        var user = await UseOrdinaryUserAsync(app, "NOCREATEROLE");

        var refused = await Assert.ThrowsAsync<ConnectionUnavailableException>(() => app.CreateTenantAsync("acme"));

        Assert.Equal(ConnectionUnavailableReason.InvalidConfiguration, refused.Reason);
        Assert.Contains($"ALTER ROLE \"{user}\" CREATEROLE", refused.Message);
        Assert.Contains("TenantRoles to false", refused.Message);
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
        Assert.Equal(
            0L,
            await app.DirectAsync("db1", "SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_acme'")
        );

        // The remedy.
        await app.DirectAsync("db1", $"ALTER ROLE {user} CREATEROLE");
        if (await app.DirectAsync("db1", $"SELECT oid FROM pg_roles WHERE rolname = '{TenantRoles.Group}'") is not null)
        {
            await app.DirectAsync("db1", $"GRANT {TenantRoles.Group} TO {user} WITH ADMIN OPTION");
        }

        await app.CreateTenantAsync("acme");
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Equal(0, await shop.Products.CountAsync(Ct));
    }

    [Fact]
    public async Task An_ordinary_user_with_the_right_to_create_roles_keeps_its_tenants_apart()
    {
        await using var server = await PostgresServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(TenantRoles.Settings(), server: server);
        await UseOrdinaryUserAsync(app, "CREATEROLE");
        foreach (var slug in new[] { "acme", "globex" })
        {
            await app.CreateTenantAsync(slug);
            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            shop.Orders.Add(new Order { Customer = slug });
            await shop.SaveChangesAsync(Ct);
            Assert.Equal(slug, (await shop.Orders.AsNoTracking().SingleAsync(Ct)).Customer);
        }

        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        await RefusedAsync(() => acme.Database.ExecuteSqlRawAsync("DELETE FROM tenant_globex.\"Orders\"", Ct));
        Assert.All(await app.MigrateAllAsync(), result => Assert.Null(result.Error));
    }

    [Fact]
    public async Task Tenants_are_created_side_by_side_in_two_databases_of_a_new_server()
    {
        await using var server = await PostgresServer.StartAsync(ct: Ct);
        var settings = TenantRoles.Settings();
        settings["NeoCommons:Connections:SharedSchemas:0"] = "common";
        await using var app = await StartAsync(settings, server: server, databases: 2);
        foreach (var database in app.Connections)
        {
            await app.DirectAsync(database, "CREATE SCHEMA common; CREATE TABLE common.rates AS SELECT 7 AS rate");
        }

        await Parallel.ForEachAsync(
            Enumerable.Range(0, 16),
            new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = Ct },
            async (i, _) => await app.CreateTenantAsync($"t{i}", app.Connections[i % 2])
        );

        for (var i = 0; i < 16; i++)
        {
            await using var shop = await app.Shop.CreateDbContextAsync($"t{i}", Ct);
            Assert.Equal(0, await shop.Products.CountAsync(Ct));
            Assert.Equal(
                7,
                await shop.Database.SqlQueryRaw<int>("SELECT rate AS \"Value\" FROM rates").SingleAsync(Ct)
            );
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Tenants_that_were_there_before_the_option_get_their_roles_when_they_are_migrated(bool pending)
    {
        var settings = TenantRoles.Settings(on: false);
        await using var app = await StartAsync(settings, pending ? b => b.AddTenantDbContext<NotesContext>() : null);
        await app.CreateTenantAsync("acme");
        await app.CreateTenantAsync("globex");
        using var next = Next(app, settings);
        var contexts = next.Services.GetRequiredService<ITenantDbContextFactory<ShopDbContext>>();

        if (pending)
        {
            await Assert.ThrowsAsync<TenantUnavailableException>(async () =>
                await contexts.CreateDbContextAsync("acme", Ct)
            );
        }
        else
        {
            await using var early = await contexts.CreateDbContextAsync("acme", Ct);
            var closed = await Assert.ThrowsAsync<PostgresException>(() => early.Products.CountAsync(Ct));
            Assert.Equal("22023", closed.SqlState);
        }

        var results = await MigrationReports.MigrateAllAsync(next.Services);
        Assert.All(results, r => Assert.Null(r.Error));
        Assert.All(
            results,
            r => Assert.Equal(pending ? TenantMigrationStatus.Migrated : TenantMigrationStatus.UpToDate, r.Status)
        );
        await using var acme = await contexts.CreateDbContextAsync("acme", Ct);
        acme.Orders.Add(new Order { Customer = "c" });
        await acme.SaveChangesAsync(Ct);
        await RefusedAsync(() => acme.Database.ExecuteSqlRawAsync("DELETE FROM tenant_globex.\"Orders\"", Ct));
    }

    [Fact]
    public async Task What_a_later_migration_adds_can_be_used_and_a_run_that_adds_nothing_writes_nothing()
    {
        var settings = TenantRoles.Settings();
        await using var app = await StartAsync(settings);
        var acme = await app.CreateTenantAsync("acme");
        using var next = Next(
            app,
            settings,
            b => b.AddTenantDbContext<IndexedContext>().AddTenantDbContext<NotesContext>()
        );
        Assert.Null(Assert.Single(await MigrationReports.MigrateAllAsync(next.Services)).Error);

        await using (var raw = await app.Databases.OpenTenantConnectionAsync(acme.Id, Ct))
        {
            Assert.Equal(1, await raw.ExecuteAsync("INSERT INTO notes VALUES (1)"));
            Assert.Equal(1, await raw.ExecuteAsync("UPDATE things SET n = 2"));
        }

        // What was taken away is given again.
        await app.DirectAsync("db1", $"REVOKE ALL ON tenant_acme.notes FROM {TenantRoles.NameOf(acme.Id)}");
        Assert.Null(Assert.Single(await MigrationReports.MigrateAllAsync(next.Services)).Error);
        await using (var raw = await app.Databases.OpenTenantConnectionAsync(acme.Id, Ct))
        {
            Assert.Equal(1, await raw.ExecuteAsync("DELETE FROM notes"));
        }

        var before = await CatalogAsync();
        Assert.Null(Assert.Single(await MigrationReports.MigrateAllAsync(next.Services)).Error);
        Assert.Equal(before, await CatalogAsync());

        async Task<object?> CatalogAsync() =>
            await app.DirectAsync(
                "db1",
                "SELECT md5(string_agg(concat_ws(':', kind, oid, xmin), ',' ORDER BY kind, oid)) FROM ("
                    + "SELECT 1, oid, xmin FROM pg_class UNION ALL SELECT 2, oid, xmin FROM pg_namespace UNION ALL "
                    + "SELECT 3, oid, xmin FROM pg_proc UNION ALL SELECT 4, oid, xmin FROM pg_default_acl) AS c (kind, oid, xmin)"
            );
    }

    [Fact]
    public async Task What_tenants_share_is_read_and_written_only_where_the_operator_grants_it()
    {
        var settings = TenantRoles.Settings();
        settings["NeoCommons:Connections:SharedSchemas:0"] = "common";
        settings["NeoCommons:Connections:SharedSchemas:1"] = "missing";
        await using var app = await StartAsync(settings);
        await app.DirectAsync(
            "db1",
            "CREATE SCHEMA common; CREATE TABLE common.rates AS SELECT 7 AS rate; "
                + "CREATE FUNCTION common.answer() RETURNS int LANGUAGE sql AS 'SELECT 42'; "
                + "REVOKE ALL ON FUNCTION common.answer() FROM PUBLIC"
        );
        var acme = await app.CreateTenantAsync("acme");
        await app.DirectAsync("db1", "CREATE TABLE common.later AS SELECT 8 AS rate");

        await using var raw = await app.Databases.OpenTenantConnectionAsync(acme.Id, Ct);
        Assert.Equal(15, await raw.ExecuteScalarAsync<int>("SELECT rates.rate + later.rate FROM rates, common.later"));
        Assert.Equal(42, await raw.ExecuteScalarAsync<int>("SELECT answer()"));
        await RefusedAsync(() => raw.ExecuteAsync("UPDATE rates SET rate = 1"));
        await app.DirectAsync("db1", $"GRANT UPDATE ON common.rates TO {TenantRoles.Group}");
        Assert.Equal(1, await raw.ExecuteAsync("UPDATE rates SET rate = 1"));
    }

    [Fact]
    public async Task A_schema_of_another_owner_is_refused_with_what_its_owner_must_execute()
    {
        await using var server = await PostgresServer.StartAsync(ct: Ct);
        await using var app = await StartAsync(TenantRoles.Settings(), server: server);
        var user = await UseOrdinaryUserAsync(app, "CREATEROLE");
        var acme = await app.CreateTenantAsync("acme");
        var role = TenantRoles.NameOf(acme.Id);
        await app.DirectAsync(
            "db1",
            $"ALTER SCHEMA tenant_acme OWNER TO postgres; GRANT ALL ON SCHEMA tenant_acme TO {user}; "
                + $"REVOKE ALL ON SCHEMA tenant_acme FROM {role}"
        );

        var error = Assert.Single(await app.MigrateAllAsync()).Error;
        Assert.Contains($"GRANT USAGE ON SCHEMA tenant_acme TO {role}", error?.Message);
    }

    private static async Task RefusedAsync(Func<Task> use) =>
        Assert.Equal(
            PostgresErrorCodes.InsufficientPrivilege,
            (await Assert.ThrowsAsync<PostgresException>(use)).SqlState
        );

    /// <summary>Lets the row of db1 log in as a user that owns the database and is no superuser.</summary>
    internal static async Task<string> UseOrdinaryUserAsync(TestApp app, string attribute)
    {
        var user = "app_" + Guid.NewGuid().ToString("N")[..8];
        var database = await app.AdminAsync("SELECT database_name FROM admin.database_connections");
        await app.DirectAsync(
            "db1",
            $"CREATE ROLE {user} LOGIN PASSWORD 'secret' {attribute}; ALTER DATABASE \"{database}\" OWNER TO {user}"
        );
        var secret = await TestApp.PlainTokenAsync(app.Services, "secret");
        await app.AdminAsync(
            $"UPDATE admin.database_connections SET username = '{user}', encrypted_password = '{secret}'"
        );
        await app.ReloadAsync();
        return user;
    }

    /// <summary>The next version of the application, on the same admin database, with the option on.</summary>
    private static IHost Next(
        TestApp app,
        IReadOnlyDictionary<string, string?> settings,
        Action<NeoCommonsBuilder>? configure = null
    ) =>
        TestApp.BuildHost(
            app.Server,
            new NpgsqlConnectionStringBuilder(app.AdminConnectionString).Database!,
            new Dictionary<string, string?>(settings) { ["NeoCommons:Connections:TenantRoles"] = "true" },
            b =>
            {
                b.AddTenantDbContext<ShopDbContext>();
                configure?.Invoke(b);
            }
        );

    private Task<TestApp> StartAsync(
        IReadOnlyDictionary<string, string?> settings,
        Action<NeoCommonsBuilder>? configure = null,
        PostgresServer? server = null,
        int databases = 1
    ) =>
        TestApp.StartAsync(
            server ?? servers.Postgres,
            databases,
            settings,
            configure ?? (b => b.AddTenantDbContext<ShopDbContext>())
        );
}
