using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.QualifiedNames;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Admin.Tests.TenantMigrations;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Poolers;

/// <summary>Tenants are created and migrated through a transaction pooler: each in one transaction, or not at all.</summary>
public sealed class PooledMigrationTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Tenants_are_created_and_migrated_side_by_side()
    {
        await using var pooler = await StartPoolerAsync();
        await using var app = await StartAppAsync(
            pooler,
            b => b.AddTenantDbContext<ShopDbContext>(o => o.UseSchemaBinding(SchemaBinding.QualifiedNames))
        );
        var slugs = Enumerable.Range(1, 12).Select(i => $"t{i}").ToList();
        await Parallel.ForEachAsync(slugs, Ct, async (slug, _) => await app.CreateTenantAsync(slug));
        foreach (var slug in slugs)
        {
            await app.DirectAsync("db1", $"DROP SCHEMA tenant_{slug} CASCADE; CREATE SCHEMA tenant_{slug}");
        }

        // Twice at the same time: the second one waits for the lock of the first.
        var runs = await Task.WhenAll(
            app.MigrateAllAsync(new() { Parallelism = 4, ParallelismPerServer = 4 }),
            app.MigrateAllAsync(new() { Parallelism = 4, ParallelismPerServer = 4 })
        );

        Assert.All(runs.SelectMany(r => r), result => Assert.Null(result.Error));
        Assert.Equal(slugs.Count, runs.SelectMany(r => r).Count(r => r.Status == TenantMigrationStatus.Migrated));
        foreach (var slug in slugs)
        {
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

        Assert.Equal(0L, await app.DirectAsync("db1", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"));
        foreach (var slug in slugs)
        {
            Assert.Equal(
                slug,
                await app.DirectAsync("db1", $"SELECT string_agg(\"Name\", ',') FROM tenant_{slug}.\"Products\"")
            );
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_others_did_while_a_migration_waited_is_seen_by_it(bool isArchived)
    {
        await using var pooler = await StartPoolerAsync(size: "1");
        await using var app = await StartAppAsync(
            pooler,
            b => b.AddTenantDbContext<LedgerContext>(o => o.UseSchemaBinding(SchemaBinding.QualifiedNames))
        );
        var all = await app.AdoptAsync("acme", "globex", "initech");
        var tenant = all[0];

        // A server's connection looks up anew what it has to look up at all; this one knows what a migration asks for.
        foreach (var other in all.Skip(1))
        {
            await app.Migrator.MigrateAsync(other.Id, Ct);
            await app.Migrator.MigrateAsync(other.Id, Ct);
        }

        var database = (string)(await app.AdminAsync("SELECT database_name FROM admin.database_connections"))!;
        await using var holder = new NpgsqlConnection(
            servers.Postgres.GetConnectionString(database) + ";Pooling=false"
        );
        await holder.OpenAsync(Ct);
        await ExecuteAsync("SELECT pg_advisory_lock(hashtextextended('neocommons.migrate:tenant_acme', 0))");

        // It knows the schema too, and that there is no history in it.
        await app.Migrator.PlanAsync(Ct);
        await using (var source = await app.Databases.OpenConnectionAsync("db1", Ct))
        {
            await new NpgsqlCommand(
                "SELECT to_regclass('tenant_acme.\"__EFMigrationsHistory\"')::text",
                source
            ).ExecuteNonQueryAsync(Ct);
        }

        var migrating = Task.Run(() => app.Migrator.MigrateAsync(tenant.Id, Ct), Ct);
        await Eventually.TrueAsync(async () =>
            await app.DirectAsync(
                "db1",
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_try_advisory_xact_lock%' AND state = 'idle in transaction' AND datname = current_database()"
            )
                is 1L
        );
        if (isArchived)
        {
            await ExecuteAsync("ALTER SCHEMA tenant_acme RENAME TO archived_acme");
            await app.AdminAsync(
                "UPDATE admin.tenants SET schema_name = 'archived_acme', status = 'archived' WHERE slug = 'acme'"
            );
        }
        else
        {
            await ExecuteAsync(
                $"""
                CREATE TABLE tenant_acme.runs (n int);
                CREATE TABLE tenant_acme."__EFMigrationsHistory" ("MigrationId" text PRIMARY KEY, "ProductVersion" text NOT NULL);
                INSERT INTO tenant_acme."__EFMigrationsHistory"
                VALUES ('{LedgerContext.First}', ''), ('{LedgerContext.Second}', ''), ('{LedgerContext.Third}', '')
                """
            );
        }

        await holder.CloseAsync();
        if (isArchived)
        {
            await Assert.ThrowsAsync<TenantUnavailableException>(() => migrating);
        }
        else
        {
            Assert.Equal(TenantMigrationStatus.UpToDate, (await migrating).Status);
        }

        async Task ExecuteAsync(string sql) => await new NpgsqlCommand(sql, holder).ExecuteNonQueryAsync(Ct);
    }

    [Fact]
    public async Task A_migration_that_no_transaction_may_hold_is_refused_before_anything_is_done()
    {
        await using var pooler = await StartPoolerAsync();
        await using var app = await StartAppAsync(pooler, b => b.AddTenantDbContext<SlowIndexContext>());

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => app.CreateTenantAsync("acme"));

        Assert.Contains("cannot run in a transaction", refused.Message);
        Assert.Contains("pooler 'none'", refused.Message);
        Assert.Equal(
            0L,
            await app.DirectAsync("db1", "SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_acme'")
        );
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
    }

    [Fact]
    public async Task A_script_for_a_transaction_pooler_is_one_transaction_and_leaves_nothing_in_a_session()
    {
        await using var pooler = await StartPoolerAsync();
        await using var app = await StartAppAsync(pooler, b => b.AddTenantDbContext<LedgerContext>());
        var tenant = (await app.AdoptAsync("acme"))[0];

        var script = await app.Migrator.GenerateScriptAsync(tenant.Id, Ct);

        Assert.DoesNotContain("pg_advisory_lock", script);
        Assert.DoesNotContain("SET search_path", script);
        Assert.Equal(1, script.Split("BEGIN;").Length - 1);
        Assert.Equal(1, script.Split("COMMIT;").Length - 1);
        await Psql.RunAsync(app, script);
        Assert.Equal(101, await app.DirectAsync("db1", "SELECT n FROM tenant_acme.runs"));
        Assert.Equal(TenantMigrationStatus.UpToDate, Assert.Single(await app.MigrateAllAsync()).Status);
    }

    [Fact]
    public async Task What_cannot_run_behind_a_transaction_pooler_makes_no_script_for_it()
    {
        await using var pooler = await StartPoolerAsync();
        await using var app = await StartAppAsync(pooler, b => b.AddTenantDbContext<AddedIndexContext>());
        var tenant = (await app.AdoptAsync("acme"))[0];

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            app.Migrator.GenerateScriptAsync(tenant.Id, Ct)
        );
        Assert.Contains("20260101000000_Index", refused.Message);
    }

    private Task<PgBouncerServer> StartPoolerAsync(string size = "3") =>
        PgBouncerServer.StartAsync(
            servers.Postgres,
            new PgBouncerServerOptions { Settings = { ["default_pool_size"] = size } },
            Ct
        );

    private async Task<TestApp> StartAppAsync(PgBouncerServer pooler, Action<NeoCommonsBuilder> configure)
    {
        var app = await TestApp.StartAsync(servers.Postgres, configure: configure);
        await CatalogApp.LetPathsLeadNowhereAsync(app);
        await app.AdminAsync(
            $"UPDATE admin.database_connections SET pooler = 'transaction', host = '{pooler.Host}', port = {pooler.Port}"
        );
        await app.ReloadAsync();
        return app;
    }
}
