using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Admin.Tests.TenantMigrations;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

public sealed class TemplateTests(TestServers servers)
{
    /// <summary>One of everything that can be copied.</summary>
    private const string Everything = """"
        CREATE EXTENSION IF NOT EXISTS citext SCHEMA public;
        DO $$ BEGIN CREATE ROLE template_reader; EXCEPTION WHEN duplicate_object THEN END $$;
        CREATE SCHEMA shared_things; CREATE TABLE shared_things.countries (code text PRIMARY KEY); INSERT INTO shared_things.countries VALUES ('de');
        SET search_path = tenant_template;
        CREATE TYPE mood AS ENUM ('good', 'so "so"', 'bad');
        CREATE DOMAIN email AS text DEFAULT 'a@b' CHECK (VALUE LIKE '%@%');
        CREATE TYPE pair AS (a int, b mood);
        CREATE SEQUENCE counter START 100 INCREMENT 5 CYCLE;
        CREATE TABLE "Odd ""Name""" (
            "Id" bigint GENERATED ALWAYS AS IDENTITY (START 50) PRIMARY KEY, old serial, n int NOT NULL DEFAULT nextval('counter'),
            dropped int, mail email COLLATE "C" UNIQUE, m mood DEFAULT 'good', p pair, ci public.citext, tags text[] DEFAULT '{a,b}',
            twice int GENERATED ALWAYS AS (old * 2) STORED, country text REFERENCES shared_things.countries,
            parent bigint REFERENCES "Odd ""Name""" ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, during int4range,
            CONSTRAINT positive CHECK (old > 0), EXCLUDE USING gist (during WITH &&)) WITH (fillfactor = 70);
        ALTER TABLE "Odd ""Name""" DROP COLUMN dropped;
        ALTER TABLE "Odd ""Name""" ALTER tags SET STORAGE EXTERNAL;
        ALTER TABLE "Odd ""Name""" ADD CONSTRAINT later CHECK (old < 1000000) NOT VALID;
        CREATE FUNCTION shout(t text, times int DEFAULT 1) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $f$ SELECT repeat(upper(t), times) || ':tenant; "x"' $f$;
        DO $do$ BEGIN EXECUTE $ex$ CREATE FUNCTION modern(i int) RETURNS SETOF "Odd ""Name""" LANGUAGE sql STABLE BEGIN ATOMIC SELECT * FROM "Odd ""Name""" WHERE old = i; END $ex$; END $do$;
        CREATE FUNCTION pinned() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = tenant_template, pg_temp SET work_mem = '4MB' AS 'SELECT count(*) FROM "Odd ""Name"""';
        CREATE PROCEDURE bump(INOUT v int) LANGUAGE plpgsql AS $f$ BEGIN v := v + nextval('counter'); END $f$;
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN NEW.n := NEW.n + 1; RETURN NEW; END $f$;
        CREATE INDEX by_shout ON "Odd ""Name""" (shout(mail), n DESC NULLS LAST) INCLUDE (m) WHERE old > 1;
        CREATE UNIQUE INDEX one_country ON "Odd ""Name""" (country, old);
        CREATE TRIGGER touching BEFORE INSERT OR UPDATE OF n ON "Odd ""Name""" FOR EACH ROW WHEN (NEW.n > 0) EXECUTE FUNCTION touch();
        CREATE TRIGGER sleeping BEFORE DELETE ON "Odd ""Name""" FOR EACH STATEMENT EXECUTE FUNCTION touch();
        ALTER TABLE "Odd ""Name""" DISABLE TRIGGER sleeping;
        CREATE VIEW seen WITH (security_barrier) AS SELECT o.*, c.code, shout(o.mail) AS loud FROM "Odd ""Name""" o LEFT JOIN shared_things.countries c ON c.code = o.country;
        CREATE MATERIALIZED VIEW summed AS SELECT m, count(*) AS many FROM seen GROUP BY m;
        CREATE UNIQUE INDEX summed_m ON summed (m);
        CREATE STATISTICS both_columns (dependencies) ON old, n FROM "Odd ""Name""";
        CREATE TABLE guarded (owner text DEFAULT current_user);
        ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON guarded FOR UPDATE TO template_reader USING (owner = current_user AND EXISTS (SELECT FROM seen)) WITH CHECK (owner <> '');
        GRANT USAGE ON SCHEMA tenant_template TO template_reader;
        GRANT SELECT ON seen TO template_reader WITH GRANT OPTION;
        GRANT UPDATE (n) ON "Odd ""Name""" TO template_reader;
        GRANT USAGE ON SEQUENCE counter TO template_reader;
        REVOKE EXECUTE ON FUNCTION pinned() FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION pinned() TO template_reader;
        COMMENT ON TABLE guarded IS 'it''s guarded'; COMMENT ON COLUMN "Odd ""Name""".n IS 'n'; COMMENT ON FUNCTION pinned() IS 'f';
        COMMENT ON INDEX by_shout IS 'i'; COMMENT ON TYPE mood IS 't'; COMMENT ON CONSTRAINT positive ON "Odd ""Name""" IS 'c';
        COMMENT ON TRIGGER touching ON "Odd ""Name""" IS 'tr'; COMMENT ON POLICY own ON guarded IS 'p'; COMMENT ON MATERIALIZED VIEW summed IS 'mv';
        INSERT INTO "Odd ""Name""" (mail, country) VALUES ('x@y', 'de');
        INSERT INTO "Odd ""Name""" (mail, parent) VALUES ('y@y', 50);
        REFRESH MATERIALIZED VIEW summed
        """";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_copy_of_everything_is_the_same_and_leads_nowhere_else(bool inAdminDatabase)
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase);
        await app.Provisioner.RefreshTemplateAsync("home", Ct);
        await app.DirectAsync("home", Everything);

        var acme = await CopyAsync(app, "acme", withRows: true);

        await using var connection = await app.Databases.OpenConnectionAsync("home", Ct);
        await using (var transaction = await connection.BeginTransactionAsync(Ct))
        {
            var template = await SchemaCatalog.ReadAsync(connection, SchemaName.Parse("tenant_template"), Ct);
            var copy = await SchemaCatalog.ReadAsync(connection, acme.Schema, Ct);
            Assert.Equal(template, copy);
            Assert.True(template.Select(o => o.Kind).Distinct().Count() >= 15);
        }

        // The template goes, and the copy works on.
        await app.DirectAsync("home", "SET client_min_messages = error; DROP SCHEMA tenant_template CASCADE");
        await app.DirectAsync(
            "home",
            """"
            SET search_path = tenant_acme, public; INSERT INTO "Odd ""Name""" (mail) VALUES ('z@z'); REFRESH MATERIALIZED VIEW summed
            """"
        );
        Assert.Equal(
            "50 51 52 | 1 2 3 | 101 106 111 | 3",
            await app.DirectAsync(
                "home",
                """"
                SET search_path = tenant_acme; SELECT string_agg("Id"::text, ' ' ORDER BY "Id") || ' | ' || string_agg(old::text, ' ' ORDER BY "Id")
                    || ' | ' || string_agg(n::text, ' ' ORDER BY "Id") || ' | ' || pinned() FROM "Odd ""Name"""
                """"
            )
        );
        await using var shop = await app.Shop.CreateDbContextAsync(acme.Id, Ct);
        Assert.Empty(await shop.Orders.ToListAsync(Ct));
        Assert.Equal(TenantMigrationStatus.UpToDate, (await app.Migrator.MigrateAsync(acme.Id, Ct)).Status);
    }

    [Fact]
    public async Task Without_rows_the_copy_has_those_of_the_history_only()
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false);
        await app.Provisioner.RefreshTemplateAsync("home", Ct);
        await app.DirectAsync("home", "INSERT INTO tenant_template.\"Orders\" (\"Customer\") VALUES ('c')");

        var acme = await CopyAsync(app, "acme", withRows: false);
        var globex = await CopyAsync(app, "globex", withRows: true);

        Assert.Equal((0, 1), (await CountAsync(acme), await CountAsync(globex)));
        Assert.Equal(acme.SchemaVersion, globex.SchemaVersion);
        await using var shop = await app.Shop.CreateDbContextAsync(globex.Id, Ct);
        shop.Orders.Add(new Order { Customer = "next" });
        await shop.SaveChangesAsync(Ct);
        Assert.Equal([1, 2], await shop.Orders.Select(o => o.Id).Order().ToListAsync(Ct));

        async Task<int> CountAsync(Tenant tenant)
        {
            await using var context = await app.Shop.CreateDbContextAsync(tenant.Id, Ct);
            return await context.Orders.CountAsync(Ct);
        }
    }

    [Fact]
    public async Task A_template_that_is_behind_is_migrated_in_the_copy()
    {
        await using var app = await Homes.StartAsync(servers, false, b => b.AddTenantDbContext<LedgerContext>());
        await app.DirectAsync(
            "home",
            $""""
            CREATE SCHEMA tenant_template; SET search_path = tenant_template; CREATE TABLE runs (n int NOT NULL); INSERT INTO runs VALUES (7);
            CREATE TABLE "__EFMigrationsHistory" ("MigrationId" varchar(150) PRIMARY KEY, "ProductVersion" varchar(32) NOT NULL);
            INSERT INTO "__EFMigrationsHistory" VALUES ('{LedgerContext.First}', '10.0.0')
            """"
        );
        var acme = await CopyAsync(app, "acme", withRows: true);
        Assert.Equal(LedgerContext.Third, acme.SchemaVersion);
        Assert.Equal(108, await app.DirectAsync("home", "SELECT n FROM tenant_acme.runs"));

        await app.Provisioner.RefreshTemplateAsync("home", Ct);
        Assert.Equal(108, await app.DirectAsync("home", "SELECT n FROM tenant_template.runs"));
    }

    [Theory]
    [InlineData(
        "CREATE FUNCTION bad() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT 1 FROM tenant_template.x); END'"
    )]
    [InlineData("CREATE TABLE bad (n text DEFAULT 'tenant_template.counter')")]
    [InlineData("CREATE TABLE bad (n int) PARTITION BY LIST (n)")]
    [InlineData("CREATE TABLE bad () INHERITS (\"Orders\")")]
    [InlineData("CREATE AGGREGATE bad(int) (SFUNC = int4pl, STYPE = int)")]
    [InlineData("CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)")]
    [InlineData("CREATE TABLE t (n int); CREATE RULE bad AS ON INSERT TO t DO ALSO NOTIFY x")]
    public async Task What_cannot_be_copied_is_refused_and_leaves_nothing(string bad)
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false);
        await app.Provisioner.RefreshTemplateAsync("home", Ct);
        await app.DirectAsync("home", "SET search_path = tenant_template; " + bad);

        var refused = await Assert.ThrowsAsync<TenantConflictException>(() => CopyAsync(app, "acme", withRows: true));

        Assert.Contains("cannot be copied", refused.Message);
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
        Assert.Equal(
            0L,
            await app.DirectAsync("home", "SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_acme'")
        );
    }

    [Fact]
    public async Task Without_a_template_the_remedy_is_named()
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false);
        var refused = await Assert.ThrowsAsync<TenantConflictException>(() => CopyAsync(app, "acme", withRows: false));
        Assert.Contains(nameof(ITenantProvisioner.RefreshTemplateAsync), refused.Message);
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
    }

    [Fact]
    public async Task A_copy_whose_commit_dies_is_made_whole_by_a_retry()
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false);
        await app.Provisioner.RefreshTemplateAsync("home", Ct);
        await app.DirectAsync(
            "home",
            """"
            CREATE FUNCTION public.die() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); END $$;
            CREATE EVENT TRIGGER die ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.die()
            """"
        );
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => CopyAsync(app, "acme", withRows: false));
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
        await app.DirectAsync("home", "DROP EVENT TRIGGER die");

        Assert.Equal(TenantStatus.Active, (await CopyAsync(app, "acme", withRows: false)).Status);
    }

    private static Task<Tenant> CopyAsync(TestApp app, string slug, bool withRows) =>
        app.Provisioner.CreateAsync(
            new()
            {
                Slug = slug,
                Name = slug,
                ConnectionName = "home",
                Source = TenantSource.Template,
                CopyRows = withRows,
            },
            Ct
        );
}
