using System.Transactions;
using Dapper;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Review;

public sealed class ProbeReview(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private async Task<TestApp> StartAsync(Action<NeoCommonsBuilder>? configure = null)
    {
        var app = await TestApp.StartAsync(servers.Postgres, configure: configure);
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

        return app;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Z02_Migrate_of_a_tenant_without_a_schema_writes_nowhere(bool shared)
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
    public async Task Z03_Outside_of_any_scope_dapper_on_a_context_after_somebodys_scope_reads_nobody_else()
    {
        await using var app = await StartAsync();
        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
            _ = await globex.Products.ToListAsync(Ct);
            scope.Complete();
        }

        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        string? name = null;
        try
        {
            name = await acme.Database.GetDbConnection().QuerySingleAsync<string>("SELECT \"Name\" FROM \"Products\"");
        }
        catch (Exception) { }

        Assert.NotEqual("globex", name);
    }

    [Fact]
    public async Task Z04_After_a_read_only_context_in_a_scope_the_next_lease_can_write()
    {
        await using var app = await StartAsync();
        var globex = (await app.Get<ITenantStore>().FindBySlugAsync("globex", Ct))!;
        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await using var reader = await app.Shop.CreateReadOnlyDbContextAsync(globex.Id, Ct);
            _ = await reader.Products.ToListAsync(Ct);
            scope.Complete();
        }

        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Equal(1, await acme.Products.ExecuteDeleteAsync(Ct));
    }

    [Fact]
    public async Task Z05_A_temporary_table_or_lock_of_a_scope_is_not_seen_by_the_next_tenant()
    {
        await using var app = await StartAsync();
        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
            await globex.Database.ExecuteSqlRawAsync("CREATE TEMP TABLE basket AS SELECT 'globex' AS who", Ct);
            scope.Complete();
        }

        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        await Assert.ThrowsAsync<PostgresException>(() =>
            acme.Database.SqlQueryRaw<string>("SELECT who AS \"Value\" FROM basket").SingleAsync(Ct)
        );
    }

    [Fact]
    public async Task Z08_A_tenant_created_is_found_by_an_old_scope_negative_cache()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        Assert.Null(await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct));
        var acme = await app.CreateTenantAsync("acme");
        Assert.NotNull(await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct));
        Assert.NotNull(await app.Get<ITenantStore>().FindAsync(acme.Id, Ct));
    }

    [Fact]
    public async Task Z09_A_name_too_long_is_refused_before_the_database_says_so()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var e = await Record.ExceptionAsync(() =>
            app.Provisioner.CreateAsync(
                new NewTenant
                {
                    Slug = "acme",
                    Name = new string('x', 201),
                    ConnectionName = "db1",
                },
                Ct
            )
        );
        Assert.True(e is ArgumentException or NeoCommonsException, e?.GetType().Name);
    }
}
