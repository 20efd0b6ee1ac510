using System.Data;
using Dapper;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

public sealed class TenantContextTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Sixty_tenants_on_three_databases_share_one_model_and_one_service_provider()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            databases: 3,
            configure: b => b.AddTenantDbContext<CountedContext>()
        );
        var slugs = Enumerable.Range(0, 60).Select(i => $"t{i:000}").ToList();
        foreach (var (slug, i) in slugs.Select((s, i) => (s, i)))
        {
            await app.CreateTenantAsync(slug, app.Connections[i % 3]);
        }

        var models = new HashSet<object>(ReferenceEqualityComparer.Instance);
        var providers = new HashSet<object>(ReferenceEqualityComparer.Instance);
        var factory = app.Get<ITenantDbContextFactory<CountedContext>>();
        foreach (var slug in slugs)
        {
            await using var context = await factory.CreateDbContextAsync(slug, Ct);
            Assert.Equal(
                $"tenant_{slug}",
                await context.Database.SqlQueryRaw<string>("SELECT current_schema() AS \"Value\"").SingleAsync(Ct)
            );
            models.Add(context.Model);

            // A singleton of EF's internal service provider: there are as many of them as providers.
            providers.Add(context.GetService<IRelationalTypeMappingSource>());
        }

        Assert.Equal(1, CountedContext.ModelsBuilt);
        Assert.Single(models);
        Assert.Single(providers);
    }

    [Fact]
    public async Task Everything_on_the_contexts_connection_reaches_the_tenants_schema()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
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

        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Equal("acme", acme.Products.Single().Name);
        Assert.Equal("acme", (await acme.Products.FromSql($"SELECT * FROM \"Products\"").SingleAsync(Ct)).Name);
        await acme.Database.OpenConnectionAsync(Ct);
        Assert.Equal(
            "acme",
            await acme.Database.GetDbConnection().QuerySingleAsync<string>("SELECT \"Name\" FROM \"Products\"")
        );
        await acme.Database.CloseConnectionAsync();
        await using (var transaction = await acme.Database.BeginTransactionAsync(Ct))
        {
            await acme.Products.ExecuteUpdateAsync(set => set.SetProperty(p => p.Price, 7), Ct);
            await transaction.RollbackAsync(Ct);
        }

        Assert.Equal(1, (await acme.Products.AsNoTracking().SingleAsync(Ct)).Price);
        await acme.Products.ExecuteDeleteAsync(Ct);
        await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
        Assert.Equal(("globex", 1m), (globex.Products.Single().Name, globex.Products.Single().Price));
    }

    [Fact]
    public async Task The_current_tenant_is_a_scoped_service()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var acme = await app.CreateTenantAsync("acme");
        var globex = await app.CreateTenantAsync("globex");

        await using (var scope = await app.Services.CreateTenantScopeAsync(acme.Id, Ct))
        {
            var services = scope.ServiceProvider;
            Assert.Equal(acme, services.GetRequiredService<ITenantContext>().Tenant);
            services.GetRequiredService<ITenantContext>().SetTenant(acme);
            Assert.Throws<TenantIsolationException>(() =>
                services.GetRequiredService<ITenantContext>().SetTenant(globex)
            );
            var shop = services.GetRequiredService<ShopDbContext>();
            Assert.Same(shop, services.GetRequiredService<ShopDbContext>());
            shop.Products.Add(
                new Product
                {
                    Sku = "1",
                    Name = "acme",
                    Price = 1,
                }
            );
            await shop.SaveChangesAsync(Ct);
            await using var second = await services
                .GetRequiredService<IDbContextFactory<ShopDbContext>>()
                .CreateDbContextAsync(Ct);
            Assert.Equal("acme", (await second.Products.SingleAsync(Ct)).Name);
        }

        await using (var scope = await app.Services.CreateTenantScopeAsync(globex.Id, Ct))
        {
            Assert.Empty(await scope.ServiceProvider.GetRequiredService<ShopDbContext>().Products.ToListAsync(Ct));
        }

        await using (var scope = app.Services.CreateAsyncScope())
        {
            Assert.Null(scope.ServiceProvider.GetRequiredService<ITenantContext>().Tenant);
            Assert.Throws<TenantNotResolvedException>(() => scope.ServiceProvider.GetRequiredService<ShopDbContext>());
            await Assert.ThrowsAsync<TenantNotResolvedException>(() =>
                scope.ServiceProvider.GetRequiredService<IDbContextFactory<ShopDbContext>>().CreateDbContextAsync(Ct)
            );
        }
    }

    [Theory]
    [InlineData("suspended", TenantStatus.Suspended)]
    [InlineData("archived", TenantStatus.Archived)]
    [InlineData("provisioning", TenantStatus.Provisioning)]
    public async Task A_tenant_that_is_not_active_cannot_be_reached_by_any_door(string status, TenantStatus expected)
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var acme = await app.CreateTenantAsync("acme");
        await app.CreateTenantAsync("globex");
        await app.AdminAsync($"UPDATE admin.tenants SET status = '{status}' WHERE slug = 'acme'");
        await app.ReloadAsync();

        foreach (
            var door in new Func<Task>[]
            {
                async () => await app.Shop.CreateDbContextAsync(acme.Id, Ct),
                async () => await app.Shop.CreateDbContextAsync("acme", Ct),
                async () => await app.Shop.CreateReadOnlyDbContextAsync(acme.Id, Ct),
                async () => await app.Databases.OpenTenantConnectionAsync(acme.Id, Ct),
                async () => await app.Services.CreateTenantScopeAsync(acme.Id, Ct),
            }
        )
        {
            var refused = await Assert.ThrowsAsync<TenantUnavailableException>(door);
            Assert.Equal((acme.Id, expected), (refused.TenantId, refused.Status));
        }

        await using var other = await app.Shop.CreateDbContextAsync("globex", Ct);
        Assert.Empty(await other.Products.ToListAsync(Ct));
    }

    [Fact]
    public async Task An_unknown_tenant_is_named_and_a_slug_that_cannot_be_is_not_repeated()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);

        var id = TenantId.New();
        Assert.Equal(
            id,
            (
                await Assert.ThrowsAsync<TenantNotFoundException>(async () =>
                    await app.Shop.CreateDbContextAsync(id, Ct)
                )
            ).TenantId
        );
        Assert.Contains(
            "'nobody'",
            (
                await Assert.ThrowsAsync<TenantNotFoundException>(async () =>
                    await app.Shop.CreateDbContextAsync("nobody", Ct)
                )
            ).Message
        );
        Assert.DoesNotContain(
            "<script>",
            (
                await Assert.ThrowsAsync<TenantNotFoundException>(async () =>
                    await app.Shop.CreateDbContextAsync("<script>", Ct)
                )
            ).Message
        );
    }

    [Fact]
    public async Task A_tenant_whose_schema_is_gone_reads_nothing_rather_than_anothers_tables()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");
        await app.DirectAsync("db1", "CREATE TABLE public.\"Products\" AS TABLE tenant_acme.\"Products\"");
        await app.DirectAsync("db1", "DROP SCHEMA tenant_acme CASCADE");

        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);

        var refused = await Assert.ThrowsAsync<PostgresException>(() => shop.Products.ToListAsync(Ct));
        Assert.Equal(PostgresErrorCodes.UndefinedTable, refused.SqlState);
    }

    [Fact]
    public async Task A_read_only_context_refuses_to_write_by_itself_and_by_the_server()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var acme = await app.CreateTenantAsync("acme");
        await using (var shop = await app.Shop.CreateDbContextAsync(acme.Id, Ct))
        {
            shop.Products.Add(
                new Product
                {
                    Sku = "1",
                    Name = "acme",
                    Price = 1,
                }
            );
            await shop.SaveChangesAsync(Ct);
        }

        await using (var reader = await app.Shop.CreateReadOnlyDbContextAsync(acme.Id, Ct))
        {
            Assert.Equal("acme", (await reader.Products.SingleAsync(Ct)).Name);
            Assert.Empty(reader.ChangeTracker.Entries());
            reader.Products.Add(
                new Product
                {
                    Sku = "2",
                    Name = "x",
                    Price = 1,
                }
            );
            await Assert.ThrowsAsync<InvalidOperationException>(() => reader.SaveChangesAsync(Ct));
            Assert.Throws<InvalidOperationException>(() => reader.SaveChanges());
            var refused = await Assert.ThrowsAsync<PostgresException>(() => reader.Products.ExecuteDeleteAsync(Ct));
            Assert.Equal(PostgresErrorCodes.ReadOnlySqlTransaction, refused.SqlState);
        }

        // The same physical connection writes again for the next lease.
        await using var writer = await app.Shop.CreateDbContextAsync(acme.Id, Ct);
        Assert.Equal(1, await writer.Products.ExecuteDeleteAsync(Ct));
    }

    [Fact]
    public async Task A_connection_that_is_exchanged_is_refused()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        await using var other = new NpgsqlConnection(app.AdminConnectionString);
        shop.Database.SetDbConnection(other);

        await Assert.ThrowsAsync<TenantIsolationException>(() => shop.Products.ToListAsync(Ct));
        Assert.Equal(ConnectionState.Closed, other.State);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_connection_that_the_application_opens_itself_is_bound_too(bool async)
    {
        await using var app = await TwoTenants.StartAsync(servers.Postgres);
        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        var connection = acme.Database.GetDbConnection();

        // Dapper opens and closes it.
        Assert.Equal("acme", await connection.QuerySingleAsync<string>("SELECT \"Name\" FROM \"Products\""));
        if (async)
        {
            await connection.OpenAsync(Ct);
        }
        else
        {
            connection.Open();
        }

        Assert.Equal("acme", (await acme.Products.SingleAsync(Ct)).Name);
        Assert.Equal("acme", await connection.QuerySingleAsync<string>("SELECT \"Name\" FROM \"Products\""));
    }

    [Fact]
    public async Task A_connection_that_was_exchanged_for_an_open_one_executes_nothing()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");
        await app.DirectAsync("db1", "CREATE TABLE public.\"Products\" AS TABLE tenant_acme.\"Products\"");
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        await using var other = new NpgsqlConnection(app.AdminConnectionString);
        shop.Database.SetDbConnection(other);

        await other.OpenAsync(Ct);

        await Assert.ThrowsAsync<TenantIsolationException>(() => shop.Products.ToListAsync(Ct));
        Assert.Throws<TenantIsolationException>(() => shop.Products.ToList());
        await Assert.ThrowsAsync<TenantIsolationException>(() => shop.Database.ExecuteSqlAsync($"SELECT 1", Ct));
        shop.Products.Add(
            new Product
            {
                Sku = "1",
                Name = "x",
                Price = 1,
            }
        );
        var refused = await Assert.ThrowsAsync<DbUpdateException>(() => shop.SaveChangesAsync(Ct));
        Assert.IsType<TenantIsolationException>(refused.InnerException);
    }

    [Fact]
    public async Task A_context_without_a_tenant_has_a_model_and_opens_no_connection()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await using var shop = new ShopDbContext(app.Get<DbContextOptions<ShopDbContext>>());

        Assert.NotNull(shop.Model.FindEntityType(typeof(Product)));
        await Assert.ThrowsAnyAsync<Exception>(() => shop.Products.ToListAsync(Ct));
        shop.Database.SetConnectionString(app.AdminConnectionString);
        await Assert.ThrowsAsync<TenantIsolationException>(() => shop.Products.ToListAsync(Ct));
    }

    [Fact]
    public async Task A_shared_schema_may_be_named_and_is_found_after_the_tenants()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?> { ["NeoCommons:Connections:SharedSchemas:0"] = "elsewhere" },
            configure: b => b.AddTenantDbContext<TableSchemaContext>()
        );
        await app.DirectAsync("db1", "CREATE SCHEMA elsewhere CREATE TABLE things (\"Id\" int PRIMARY KEY)");
        await app.DirectAsync("db1", "CREATE SCHEMA tenant_acme");
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) SELECT 'acme', 'a', 'tenant_acme', id FROM admin.database_connections"
        );

        await using var context = await app.Get<ITenantDbContextFactory<TableSchemaContext>>()
            .CreateDbContextAsync("acme", Ct);

        Assert.Empty(await context.Things.ToListAsync(Ct));
        Assert.Equal(
            "tenant_acme, elsewhere, pg_temp",
            await context
                .Database.SqlQueryRaw<string>("SELECT current_setting('search_path') AS \"Value\"")
                .SingleAsync(Ct)
        );
    }

    [Fact]
    public async Task Options_that_bring_their_own_connection_or_history_schema_are_refused()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            databases: 0,
            configure: b =>
                b.AddTenantDbContext<ShopDbContext>(o => o.UseNpgsql("Host=elsewhere"))
                    .AddTenantDbContext<CountedContext>(o => o.UseNpgsql(n => n.MigrationsHistoryTable("h", "public")))
        );

        Assert.Contains(
            "registry",
            Assert.Throws<InvalidOperationException>(() => app.Get<DbContextOptions<ShopDbContext>>()).Message
        );
        Assert.Contains(
            "history",
            Assert.Throws<InvalidOperationException>(() => app.Get<DbContextOptions<CountedContext>>()).Message
        );
    }

    [Fact]
    public void A_context_that_is_registered_as_an_ordinary_one_is_refused()
    {
        var services = new ServiceCollection();
        services.AddDbContext<ShopDbContext>(o => o.UseNpgsql("Host=elsewhere"));
        var builder = services.AddNeoCommons(new Microsoft.Extensions.Configuration.ConfigurationManager());

        var refused = Assert.Throws<InvalidOperationException>(() => builder.AddTenantDbContext<ShopDbContext>());

        Assert.Contains("AddDbContext", refused.Message);
    }

    [Fact]
    public void A_context_that_is_registered_twice_is_refused()
    {
        var builder = new ServiceCollection().AddNeoCommons(
            new Microsoft.Extensions.Configuration.ConfigurationManager()
        );
        builder.AddTenantDbContext<ShopDbContext>();

        Assert.Throws<InvalidOperationException>(() => builder.AddTenantDbContext<ShopDbContext>());
    }
}
