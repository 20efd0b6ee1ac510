using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>Doors of EF and Npgsql that lead around a tenant's schema, and what becomes of them.</summary>
public sealed class ContextGuardTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private Task<TestApp> StartAsync(int databases = 1) => TwoTenants.StartAsync(servers.Postgres, databases);

    [Fact]
    public async Task A_connection_string_that_is_exchanged_cannot_lead_to_another_database()
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
    public async Task CanConnect_tells_the_truth()
    {
        await using var app = await StartAsync();
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.True(await shop.Database.CanConnectAsync(Ct));
    }

    [Fact]
    public async Task EnsureDeleted_never_drops_the_database_of_all_tenants()
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
    public async Task Migrate_names_the_migrator()
    {
        await using var app = await StartAsync();
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        var e = await Record.ExceptionAsync(() => shop.Database.MigrateAsync(Ct));
        Assert.True(e is null || e.Message.Contains("ITenantMigrator"), e?.ToString());
    }

    [Fact]
    public async Task EnsureCreated_names_the_provisioner()
    {
        await using var app = await StartAsync();
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        var e = await Record.ExceptionAsync(() => shop.Database.EnsureCreatedAsync(Ct));
        Assert.True(e is null || e.Message.Contains("ITenantProvisioner"), e?.ToString());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Migrate_of_a_tenant_without_a_schema_writes_nowhere(bool shared)
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            settings: shared
                ? new Dictionary<string, string?> { ["NeoCommons:Connections:SharedSchemas:0"] = "common" }
                : null
        );
        await app.DirectAsync("db1", "CREATE SCHEMA common");
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) SELECT 'acme', 'a', 'tenant_acme', id FROM admin.database_connections"
        );
        Exception? e;
        await using (var shop = await app.Shop.CreateDbContextAsync("acme", Ct))
        {
            e = await Record.ExceptionAsync(() => shop.Database.MigrateAsync(Ct));
        }

        var tables = await app.DirectAsync(
            "db1",
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r' AND nspname = 'common'"
        );
        Assert.True(e is not null && 0L.Equals(tables), $"{e?.Message} {tables}");
    }

    [Fact]
    public async Task A_tenant_that_was_suspended_gets_no_new_context_in_an_old_scope()
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
    public async Task A_tenant_is_never_bound_to_a_shared_schema()
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
    public async Task Retry_on_failure_and_killed_backends_stay_with_the_tenant()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<ShopDbContext>(o => o.UseNpgsql(n => n.EnableRetryOnFailure(3)))
        );
        foreach (var slug in new[] { "acme", "globex" })
        {
            await app.CreateTenantAsync(slug);
            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            shop.Products.Add(
                new Product
                {
                    Sku = "1",
                    Name = slug,
                    Price = 1,
                }
            );
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

    [Fact]
    public async Task What_is_bound_by_search_path_is_refused_behind_a_transaction_pooler()
    {
        await using var app = await StartAsync();
        var acme = (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!;
        await app.AdminAsync("UPDATE admin.database_connections SET pooler = 'transaction'");
        await app.ReloadAsync();

        var context = await Assert.ThrowsAsync<TenantIsolationException>(async () =>
            await app.Shop.CreateDbContextAsync("acme", Ct)
        );
        var raw = await Assert.ThrowsAsync<TenantIsolationException>(async () =>
            await app.Databases.OpenTenantConnectionAsync(acme.Id, Ct)
        );
        Assert.All(
            [context.Message, raw.Message],
            message =>
            {
                Assert.Contains("session mode", message);
                Assert.Contains("QualifiedNames", message);
            }
        );
    }

    [Fact]
    public async Task Enums_of_a_shared_schema_can_be_mapped()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?> { ["NeoCommons:Connections:SharedSchemas:0"] = "common" },
            configure: b =>
                b.ConfigureDataSources(s => s.MapEnum<Mood>("common.mood"))
                    .AddTenantDbContext<MoodContext>(o => o.UseNpgsql(n => n.MapEnum<Mood>("mood", "common")))
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
    public async Task A_data_source_configuration_cannot_change_where_the_registry_leads()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.ConfigureDataSources(s => s.ConnectionStringBuilder.SearchPath = "public")
        );

        await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await app.Databases.OpenConnectionAsync("db1", Ct)
        );
    }
}
