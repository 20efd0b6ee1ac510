using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>
/// Ways by which what belongs to one tenant's context could serve another's: each ends in an exception or at the right
/// tenant. Those of sessions are in <see cref="LeakPathTests"/>.
/// </summary>
public sealed class ContextLeakPathTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_save_that_fails_inside_a_transaction_leaves_the_tenant_where_it_was(bool ownSavepoint)
    {
        await using var app = await StartAsync();
        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        await using (var transaction = await acme.Database.BeginTransactionAsync(Ct))
        {
            if (ownSavepoint)
            {
                await transaction.CreateSavepointAsync("mine", Ct);
            }

            acme.Products.Add(New("1", "twice"));
            await Assert.ThrowsAsync<DbUpdateException>(() => acme.SaveChangesAsync(Ct));
            if (ownSavepoint)
            {
                await transaction.RollbackToSavepointAsync("mine", Ct);
            }

            acme.ChangeTracker.Clear();
            acme.Products.Add(New("2", "acme"));
            await acme.SaveChangesAsync(Ct);
            Assert.All(await acme.Products.AsNoTracking().ToListAsync(Ct), p => Assert.Equal("acme", p.Name));
            await transaction.CommitAsync(Ct);
        }

        Assert.Equal(2, await acme.Products.CountAsync(Ct));
        Assert.Equal(1L, await app.DirectAsync("db1", "SELECT count(*) FROM tenant_globex.\"Products\""));
    }

    [Fact]
    public async Task An_open_connection_of_one_tenants_context_serves_no_other_context()
    {
        await using var app = await StartAsync();
        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        await acme.Database.OpenConnectionAsync(Ct);
        await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
        globex.Database.SetDbConnection(acme.Database.GetDbConnection());

        await Assert.ThrowsAsync<TenantIsolationException>(() => globex.Products.ToListAsync(Ct));
        Assert.Throws<TenantIsolationException>(() => globex.Products.ToList());
        await Assert.ThrowsAsync<TenantIsolationException>(() => globex.Products.ExecuteDeleteAsync(Ct));
        Assert.Equal("acme", (await acme.Products.SingleAsync(Ct)).Name);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_connection_exchanged_while_the_contexts_own_is_open_executes_nothing(bool async)
    {
        await using var app = await TwoTenants.StartAsync(servers.Postgres);
        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
        await globex.Database.OpenConnectionAsync(Ct);

        // EF refuses the exchange only of a connection that it has opened itself.
        await acme.Database.GetDbConnection().OpenAsync(Ct);
        acme.Database.SetDbConnection(globex.Database.GetDbConnection());

        await Assert.ThrowsAsync<TenantIsolationException>(async () =>
            _ = async ? await acme.Products.ToListAsync(Ct) : acme.Products.ToList()
        );
        await Assert.ThrowsAsync<TenantIsolationException>(async () =>
            _ = async ? await acme.Products.ExecuteDeleteAsync(Ct) : acme.Products.ExecuteDelete()
        );
        Assert.Equal("globex", (await globex.Products.SingleAsync(Ct)).Name);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_command_that_an_interceptor_leads_to_another_connection_executes_nothing(bool async)
    {
        var elsewhere = new Elsewhere();
        await using var app = await TwoTenants.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<ShopDbContext>(o => o.AddInterceptors(elsewhere))
        );
        await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
        await globex.Database.OpenConnectionAsync(Ct);
        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        elsewhere.Connection = globex.Database.GetDbConnection();

        await Assert.ThrowsAsync<TenantIsolationException>(async () =>
            _ = async ? await acme.Products.ToListAsync(Ct) : acme.Products.ToList()
        );
        await Assert.ThrowsAsync<TenantIsolationException>(async () =>
            _ = async ? await acme.Products.ExecuteDeleteAsync(Ct) : acme.Products.ExecuteDelete()
        );
        Assert.Equal("globex", (await globex.Products.SingleAsync(Ct)).Name);
    }

    [Fact]
    public async Task A_function_that_tenants_share_works_in_its_callers_schema()
    {
        await using var app = await StartAsync(
            settings: new Dictionary<string, string?> { ["NeoCommons:Connections:SharedSchemas:0"] = "common" }
        );
        await app.DirectAsync("db1", "CREATE SCHEMA common");
        await app.DirectAsync(
            "db1",
            "CREATE FUNCTION common.names() RETURNS SETOF text LANGUAGE plpgsql AS "
                + "$$ BEGIN RETURN QUERY SELECT \"Name\" FROM \"Products\"; END $$"
        );

        foreach (var slug in new[] { "acme", "globex", "acme" })
        {
            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            Assert.Equal(
                [slug],
                await shop.Database.SqlQueryRaw<string>("SELECT names AS \"Value\" FROM names()").ToListAsync(Ct)
            );
        }
    }

    [Fact]
    public async Task What_EF_compiled_once_reads_the_tenant_of_the_context_it_is_given()
    {
        await using var app = await StartAsync();
        var compiled = EF.CompileAsyncQuery((ShopDbContext shop) => shop.Products.Single(p => p.Sku == "1"));

        foreach (var slug in new[] { "acme", "globex", "acme" })
        {
            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            Assert.Equal(slug, (await compiled(shop)).Name);
        }
    }

    [Fact]
    public async Task What_EF_has_prepared_for_one_tenant_reads_the_next_ones_rows()
    {
        await using var app = await StartAsync(
            new Dictionary<string, string?> { ["NeoCommons:Connections:MaxPreparedStatements"] = "20" }
        );
        for (var i = 0; i < 24; i++)
        {
            var slug = i % 3 == 0 ? "acme" : "globex";
            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            Assert.Equal(slug, (await shop.Products.SingleAsync(Ct)).Name);
            Assert.Equal(slug, shop.Products.AsNoTracking().Single().Name);
        }

        // Else this test shows nothing.
        await using var last = await app.Shop.CreateDbContextAsync("acme", Ct);
        await last.Database.OpenConnectionAsync(Ct);
        Assert.NotEqual(
            0,
            await last
                .Database.SqlQueryRaw<int>("SELECT count(*)::int AS \"Value\" FROM pg_prepared_statements")
                .SingleAsync(Ct)
        );
    }

    [Fact]
    public async Task An_enum_of_the_tenants_own_schemas_cannot_be_mapped_and_reads_nobodys()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b =>
                b.ConfigureDataSources(s => s.MapEnum<Mood>("mood"))
                    .AddTenantDbContext<MoodContext>(o => o.UseNpgsql(n => n.MapEnum<Mood>("mood")))
        );
        foreach (var (slug, mood) in new[] { ("acme", "happy"), ("globex", "sad") })
        {
            await app.DirectAsync(
                "db1",
                $"""
                CREATE SCHEMA tenant_{slug};
                SET search_path = tenant_{slug};
                CREATE TYPE mood AS ENUM ('happy', 'sad');
                CREATE TABLE "People" ("Id" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Mood" mood);
                INSERT INTO "People" ("Mood") VALUES ('{mood}')
                """
            );
            await app.AdminAsync(
                "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) "
                    + $"SELECT '{slug}', '{slug}', 'tenant_{slug}', id FROM admin.database_connections"
            );
        }

        var moods = app.Get<ITenantDbContextFactory<MoodContext>>();
        foreach (var slug in new[] { "acme", "globex" })
        {
            await using var context = await moods.CreateDbContextAsync(slug, Ct);
            await Assert.ThrowsAnyAsync<Exception>(() => context.People.ToListAsync(Ct));
            context.People.Add(new Person { Mood = Mood.Happy });
            await Assert.ThrowsAnyAsync<Exception>(() => context.SaveChangesAsync(Ct));
            Assert.Equal(1L, await app.DirectAsync("db1", $"SELECT count(*) FROM tenant_{slug}.\"People\""));
        }
    }

    [Fact]
    public async Task A_slug_that_went_to_another_tenant_leads_to_that_tenants_schema()
    {
        await using var app = await StartAsync();
        await using (var before = await app.Shop.CreateDbContextAsync("acme", Ct))
        {
            Assert.Equal("acme", (await before.Products.SingleAsync(Ct)).Name);
        }

        await app.AdminAsync("UPDATE admin.tenants SET slug = 'old-acme' WHERE slug = 'acme'");
        await app.AdminAsync("UPDATE admin.tenants SET slug = 'acme' WHERE slug = 'globex'");
        await app.ReloadAsync();

        await using var after = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Equal("globex", (await after.Products.SingleAsync(Ct)).Name);
    }

    private static Product New(string sku, string name) =>
        new()
        {
            Sku = sku,
            Name = name,
            Price = 1,
        };

    private Task<TestApp> StartAsync(IReadOnlyDictionary<string, string?>? settings = null) =>
        TwoTenants.StartOnOneConnectionAsync(servers.Postgres, settings: settings);

    private sealed class Elsewhere : DbCommandInterceptor
    {
        public DbConnection? Connection { get; set; }

        public override DbCommand CommandInitialized(CommandEndEventData eventData, DbCommand result)
        {
            result.Connection = Connection ?? result.Connection;
            return result;
        }
    }
}
