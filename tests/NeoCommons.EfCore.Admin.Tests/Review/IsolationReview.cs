using System.Data;
using System.Transactions;
using Dapper;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Conventions;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Contexts;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Review;

/// <summary>Each test states what must hold; one that fails is the proof of a finding.</summary>
public sealed class IsolationReview(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private async Task<TestApp> StartAsync(int databases = 1)
    {
        var app = await TestApp.StartAsync(servers.Postgres, databases);
        foreach (var slug in new[] { "acme", "globex" })
        {
            await app.CreateTenantAsync(slug);
            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            shop.Products.Add(Named(slug));
            await shop.SaveChangesAsync(Ct);
        }

        return app;
    }

    private static Product Named(string name) =>
        new()
        {
            Sku = "1",
            Name = name,
            Price = 1,
        };

    [Fact]
    public async Task I01_Dapper_on_a_contexts_closed_connection_in_a_scope_never_reads_another_tenant()
    {
        await using var app = await StartAsync();
        using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
        await using (var globex = await app.Shop.CreateDbContextAsync("globex", Ct))
        {
            _ = await globex.Products.ToListAsync(Ct);
        }

        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        string? name = null;
        try
        {
            // Dapper opens a closed connection by itself.
            name = await acme.Database.GetDbConnection().QuerySingleAsync<string>("SELECT \"Name\" FROM \"Products\"");
        }
        catch (Exception) { }

        Assert.NotEqual("globex", name);
    }

    [Fact]
    public async Task I02_A_handed_out_data_source_in_a_scope_never_reads_a_tenant()
    {
        await using var app = await StartAsync();
        var source = await app.Databases.GetDataSourceAsync("db1", Ct);
        using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
        await using (var globex = await app.Shop.CreateDbContextAsync("globex", Ct))
        {
            _ = await globex.Products.ToListAsync(Ct);
        }

        await using var raw = await source.OpenConnectionAsync(Ct);
        await Assert.ThrowsAsync<PostgresException>(() =>
            raw.QuerySingleAsync<string>("SELECT \"Name\" FROM \"Products\"")
        );
    }

    [Fact]
    public async Task I03_A_tenants_connection_opened_again_in_a_scope_is_bound_to_nobody()
    {
        await using var app = await StartAsync();
        await using var first = await app.Shop.CreateDbContextAsync("acme", Ct);
        var acmeId = (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!.Id;
        using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
        await using var acme = await app.Databases.OpenTenantConnectionAsync(acmeId, Ct);
        await acme.CloseAsync();
        await using (var globex = await app.Shop.CreateDbContextAsync("globex", Ct))
        {
            _ = await globex.Products.ToListAsync(Ct);
        }

        await acme.OpenAsync(Ct);
        await Assert.ThrowsAsync<PostgresException>(() =>
            acme.QuerySingleAsync<string>("SELECT \"Name\" FROM \"Products\"")
        );
    }

    [Fact]
    public async Task I04_The_guard_sees_that_the_connection_was_closed_and_opened_behind_the_context()
    {
        await using var app = await StartAsync();
        using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        await acme.Database.OpenConnectionAsync(Ct);
        await acme.Database.GetDbConnection().CloseAsync();
        await using (var globex = await app.Shop.CreateDbContextAsync("globex", Ct))
        {
            _ = await globex.Products.ToListAsync(Ct);
        }

        await acme.Database.GetDbConnection().OpenAsync(Ct);
        List<Product> read = [];
        try
        {
            read = await acme.Products.AsNoTracking().ToListAsync(Ct);
        }
        catch (TenantIsolationException) { }

        Assert.All(read, p => Assert.Equal("acme", p.Name));
    }

    [Fact]
    public async Task I05_After_a_scope_ended_an_unbound_connection_has_no_path()
    {
        await using var app = await StartAsync();
        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
            _ = await globex.Products.ToListAsync(Ct);
            scope.Complete();
        }

        await using var raw = await app.Databases.OpenConnectionAsync("db1", Ct);
        Assert.Equal("neocommons_no_tenant", await raw.ExecuteScalarAsync<string>("SHOW search_path"));
    }

    [Fact]
    public async Task I06_A_read_only_context_in_a_transaction_scope_cannot_write()
    {
        await using var app = await StartAsync();
        var acme = (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!;
        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await using var reader = await app.Shop.CreateReadOnlyDbContextAsync(acme.Id, Ct);
            try
            {
                await reader.Products.ExecuteDeleteAsync(Ct);
            }
            catch (PostgresException) { }

            scope.Complete();
        }

        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Equal(1, await shop.Products.CountAsync(Ct));
    }

    [Fact]
    public async Task I07_SetConnectionString_on_a_live_context_cannot_lead_to_another_database()
    {
        await using var app = await StartAsync(databases: 2);
        await app.DirectAsync("db2", "CREATE SCHEMA tenant_acme");
        await app.DirectAsync(
            "db2",
            "CREATE TABLE tenant_acme.\"Products\" (\"Id\" int, \"Sku\" text, \"Name\" text, \"Price\" numeric)"
        );
        await app.DirectAsync("db2", "INSERT INTO tenant_acme.\"Products\" VALUES (1, '1', 'other database', 1)");
        var database = (string)
            (
                await app.AdminAsync(
                    "SELECT database_name FROM admin.database_connections WHERE connection_name = 'db2'"
                )
            )!;
        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        List<Product> read = [];
        try
        {
            acme.Database.SetConnectionString(app.Server.GetConnectionString(database));
            read = await acme.Products.AsNoTracking().ToListAsync(Ct);
        }
        catch (Exception) { }

        Assert.DoesNotContain(read, p => p.Name == "other database");
    }

    [Fact]
    public async Task I08_A_stored_procedure_of_another_schema_is_refused()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<ProcedureContext>()
        );
        await using var context = new ProcedureContext(app.Get<DbContextOptions<ProcedureContext>>());
        Assert.Throws<InvalidOperationException>(() => context.Model);
    }

    [Fact]
    public async Task I09_A_prebuilt_or_compiled_model_that_names_public_is_not_read()
    {
        var plain = new DbContextOptionsBuilder<DefaultSchemaContext>().UseNpgsql("Host=x").Options;
        await using var builder = new DefaultSchemaContext(plain);
        var model = builder.Model;
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<DefaultSchemaContext>(o => o.UseModel(model))
        );
        await app.DirectAsync("db1", "CREATE TABLE public.\"Things\" (\"Id\" int PRIMARY KEY)");
        await app.DirectAsync("db1", "INSERT INTO public.\"Things\" VALUES (666)");
        await app.DirectAsync("db1", "CREATE SCHEMA tenant_acme");
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) SELECT 'acme', 'a', 'tenant_acme', id FROM admin.database_connections"
        );
        List<Thing> read = [];
        try
        {
            await using var context = await app.Get<ITenantDbContextFactory<DefaultSchemaContext>>()
                .CreateDbContextAsync("acme", Ct);
            read = await context.Things.ToListAsync(Ct);
        }
        catch (InvalidOperationException) { }

        Assert.Empty(read);
    }

    [Fact]
    public async Task I10_A_convention_of_the_application_cannot_set_a_schema_after_the_check()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<LateSchemaContext>()
        );
        await using var context = new LateSchemaContext(app.Get<DbContextOptions<LateSchemaContext>>());
        Assert.Throws<InvalidOperationException>(() => context.Model);
    }

    [Fact]
    public async Task I11_The_model_check_follows_the_shared_schemas_of_its_own_host()
    {
        await using var permissive = await TestApp.StartAsync(
            servers.Postgres,
            databases: 0,
            settings: new Dictionary<string, string?> { ["NeoCommons:Connections:SharedSchemas:0"] = "elsewhere2" },
            configure: b => b.AddTenantDbContext<ElsewhereContext>()
        );
        await using (var allowed = new ElsewhereContext(permissive.Get<DbContextOptions<ElsewhereContext>>()))
        {
            _ = allowed.Model;
        }

        await using var strict = await TestApp.StartAsync(
            servers.Postgres,
            databases: 0,
            configure: b => b.AddTenantDbContext<ElsewhereContext>()
        );
        await using var refused = new ElsewhereContext(strict.Get<DbContextOptions<ElsewhereContext>>());
        Assert.Throws<InvalidOperationException>(() => refused.Model);
    }

    [Fact]
    public async Task I12_Options_with_a_data_source_of_their_own_are_refused()
    {
        await using var source = NpgsqlDataSource.Create("Host=elsewhere");
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            databases: 0,
            configure: b => b.AddTenantDbContext<ShopDbContext>(o => o.UseNpgsql(source))
        );
        Assert.Throws<InvalidOperationException>(() => app.Get<DbContextOptions<ShopDbContext>>());
    }

    [Fact]
    public async Task I13_CanConnect_tells_the_truth()
    {
        await using var app = await StartAsync();
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.True(await shop.Database.CanConnectAsync(Ct));
    }

    [Fact]
    public async Task I14_EnsureDeleted_never_drops_the_database_of_all_tenants()
    {
        await using var app = await StartAsync();
        await using (var shop = await app.Shop.CreateDbContextAsync("acme", Ct))
        {
            var e = await Assert.ThrowsAsync<TenantIsolationException>(() => shop.Database.EnsureDeletedAsync(Ct));
            Assert.DoesNotContain("SetDbConnection", e.Message); // nobody called it
        }

        await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
        Assert.Equal(1, await globex.Products.CountAsync(Ct));
    }

    [Fact]
    public async Task I15_Migrate_on_a_tenant_context_migrates_the_tenant_or_names_the_migrator()
    {
        await using var app = await StartAsync();
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        var e = await Record.ExceptionAsync(() => shop.Database.MigrateAsync(Ct));
        Assert.True(e is null || e.Message.Contains("ITenantMigrator"), e?.ToString());
    }

    [Fact]
    public async Task I16_EnsureCreated_on_a_tenant_context_is_refused_with_a_remedy()
    {
        await using var app = await StartAsync();
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        var e = await Record.ExceptionAsync(() => shop.Database.EnsureCreatedAsync(Ct));
        Assert.True(e is null || e.Message.Contains("ITenantProvisioner"), e?.ToString());
    }

    [Fact]
    public async Task I17_A_row_that_declares_a_transaction_pooler_is_refused()
    {
        await using var app = await StartAsync();
        await app.AdminAsync("UPDATE admin.database_connections SET pooler = 'transaction'");
        await app.ReloadAsync();
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        await Assert.ThrowsAsync<ConnectionUnavailableException>(() => shop.Products.ToListAsync(Ct));
    }

    [Fact]
    public async Task I18_A_current_tenant_that_was_suspended_gets_no_new_context_in_an_old_scope()
    {
        await using var app = await StartAsync();
        var acme = (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!;
        await using var scope = await app.Services.CreateTenantScopeAsync(acme.Id, Ct);
        await app.AdminAsync("UPDATE admin.tenants SET status = 'suspended' WHERE slug = 'acme'");
        await app.ReloadAsync();
        var factory = scope.ServiceProvider.GetRequiredService<IDbContextFactory<ShopDbContext>>();
        await Assert.ThrowsAsync<TenantUnavailableException>(async () =>
        {
            await using var shop = await factory.CreateDbContextAsync(Ct);
        });
    }

    [Fact]
    public async Task I19_A_tenant_is_never_bound_to_a_shared_schema()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?>
            {
                ["NeoCommons:Connections:SharedSchemas:0"] = "common",
                ["NeoCommons:Naming:Tenant"] = "{slug}",
            }
        );
        await app.DirectAsync("db1", "CREATE SCHEMA common");
        await Assert.ThrowsAnyAsync<NeoCommonsException>(() => app.CreateTenantAsync("common"));
    }

    [Fact]
    public async Task I20_Create_table_in_a_tenant_without_schema_does_not_succeed_in_pg_temp()
    {
        await using var app = await StartAsync();
        await app.DirectAsync("db1", "DROP SCHEMA tenant_acme CASCADE");
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        await shop.Database.OpenConnectionAsync(Ct);
        await Assert.ThrowsAsync<PostgresException>(() =>
            shop.Database.ExecuteSqlRawAsync("CREATE TABLE notes (n int)", Ct)
        );
    }

    [Fact]
    public async Task I21_Enums_can_be_mapped_as_the_readme_says()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?> { ["NeoCommons:Connections:SharedSchemas:0"] = "common" },
            configure: b => b.AddTenantDbContext<MoodContext>(o => o.UseNpgsql(n => n.MapEnum<Mood>("mood", "common")))
        );
        await app.DirectAsync("db1", "CREATE SCHEMA common CREATE TABLE x (n int)");
        await app.DirectAsync("db1", "CREATE TYPE common.mood AS ENUM ('happy', 'sad')");
        await app.DirectAsync("db1", "CREATE SCHEMA tenant_acme");
        await app.DirectAsync(
            "db1",
            "CREATE TABLE tenant_acme.\"People\" (\"Id\" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \"Mood\" common.mood)"
        );
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) SELECT 'acme', 'a', 'tenant_acme', id FROM admin.database_connections"
        );
        await using var context = await app.Get<ITenantDbContextFactory<MoodContext>>()
            .CreateDbContextAsync("acme", Ct);
        context.People.Add(new Person { Mood = Mood.Sad });
        await context.SaveChangesAsync(Ct);
        Assert.Equal(Mood.Sad, (await context.People.AsNoTracking().SingleAsync(Ct)).Mood);
    }

    [Fact]
    public async Task I22_Retry_on_failure_and_a_killed_backend_stay_with_the_tenant()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<ShopDbContext>(o => o.UseNpgsql(n => n.EnableRetryOnFailure(3)))
        );
        foreach (var slug in new[] { "acme", "globex" })
        {
            await app.CreateTenantAsync(slug);
            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            shop.Products.Add(Named(slug));
            await shop.SaveChangesAsync(Ct);
        }

        for (var i = 0; i < 20; i++)
        {
            var slug = i % 2 == 0 ? "acme" : "globex";
            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            await shop.Database.OpenConnectionAsync(Ct);
            await app.DirectAsync(
                "db1",
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            );
            Assert.Equal(slug, (await shop.Products.AsNoTracking().SingleAsync(Ct)).Name);
        }
    }
}

public class ProcedureContext(DbContextOptions<ProcedureContext> options) : DbContext(options)
{
    public DbSet<Thing> Things => Set<Thing>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder
            .Entity<Thing>()
            .DeleteUsingStoredProcedure("drop_thing", "tenant_globex", p => p.HasOriginalValueParameter(t => t.Id));
}

public class LateSchemaContext(DbContextOptions<LateSchemaContext> options) : DbContext(options)
{
    public DbSet<Thing> Things => Set<Thing>();

    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder) =>
        configurationBuilder.Conventions.Add(_ => new LateSchema());

    private sealed class LateSchema : IModelFinalizingConvention
    {
        public void ProcessModelFinalizing(
            Microsoft.EntityFrameworkCore.Metadata.Builders.IConventionModelBuilder modelBuilder,
            IConventionContext<Microsoft.EntityFrameworkCore.Metadata.Builders.IConventionModelBuilder> context
        )
        {
            foreach (var entity in modelBuilder.Metadata.GetEntityTypes())
            {
                entity.SetSchema("tenant_globex");
            }
        }
    }
}

public class ElsewhereContext(DbContextOptions<ElsewhereContext> options) : DbContext(options)
{
    public DbSet<Thing> Things => Set<Thing>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Thing>().ToTable("things", "elsewhere2");
}

public enum Mood
{
    Happy,
    Sad,
}

public class Person
{
    public int Id { get; set; }
    public Mood Mood { get; set; }
}

public class MoodContext(DbContextOptions<MoodContext> options) : DbContext(options)
{
    public DbSet<Person> People => Set<Person>();
}
