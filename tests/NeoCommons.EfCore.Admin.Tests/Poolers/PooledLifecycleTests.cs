using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.QualifiedNames;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Admin.Tests.Poolers;

/// <summary>The life of tenants behind a transaction pooler, where a session is nobody's and its locks would stay.</summary>
public sealed class PooledLifecycleTests(TestServers servers)
{
    private const string Locks =
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_tenant_lives_from_its_creation_to_its_deletion(bool isWarm)
    {
        await using var pooler = await StartPoolerAsync();
        await using var app = await StartAppAsync(pooler, isWarm);
        if (isWarm)
        {
            await app.Get<WarmSchemaStock>().RefillAsync("db1", Ct);
        }

        var acme = await app.CreateTenantAsync("acme");
        Assert.Equal(isWarm ? 1L : 0L, await app.AdminAsync("SELECT count(*) FROM admin.warm_schemas"));
        await AddProductAsync(app, acme.Id);
        await app.Provisioner.SuspendAsync(acme.Id, ct: Ct);
        await Assert.ThrowsAsync<TenantUnavailableException>(async () =>
            await app.Shop.CreateDbContextAsync(acme.Id, Ct)
        );
        await app.Provisioner.ResumeAsync(acme.Id, Ct);
        Assert.Equal(TenantMigrationStatus.UpToDate, (await app.Migrator.MigrateAsync(acme.Id, Ct)).Status);

        var globex = await app.Provisioner.RenameAsync(acme.Id, new() { Slug = "globex", RenameSchema = true }, Ct);
        Assert.Equal(("tenant_globex", 1), (globex.Schema.Value, await CountAsync(app, acme.Id)));
        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);
        await app.Provisioner.RestoreAsync(acme.Id, Ct);
        Assert.Equal(1, await CountAsync(app, acme.Id));
        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);
        await app.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "globex" }, Ct);

        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
        Assert.Equal(
            isWarm ? "warm" : DBNull.Value,
            await app.DirectAsync(
                "db1",
                "SELECT string_agg(split_part(nspname, '_', 1), ' ') FROM pg_namespace WHERE nspname ~ '^(tenant|archived|warm)_'"
            )
        );
        await AssertNothingIsLeftBehindAsync(app);
    }

    [Fact]
    public async Task Many_tenants_are_created_from_the_warm_pool_and_the_template_side_by_side()
    {
        await using var pooler = await StartPoolerAsync();
        await using var app = await StartAppAsync(pooler, isWarm: true);
        await app.Get<WarmSchemaStock>().RefillAsync("db1", Ct);
        await app.Provisioner.RefreshTemplateAsync("db1", Ct);

        var made = await Task.WhenAll(
            Enumerable
                .Range(0, 8)
                .Select(i =>
                    app.Provisioner.CreateAsync(
                        new()
                        {
                            Slug = $"t{i}",
                            Name = "t",
                            ConnectionName = "db1",
                            Source = i % 2 == 0 ? TenantSource.Migrations : TenantSource.Template,
                        },
                        Ct
                    )
                )
        );

        foreach (var tenant in made)
        {
            await AddProductAsync(app, tenant.Id);
            Assert.Equal(1, await CountAsync(app, tenant.Id));
        }

        await AssertNothingIsLeftBehindAsync(app);
    }

    [Fact]
    public async Task A_failed_creation_is_taken_back_and_the_doctor_mends_without_leaving_a_lock()
    {
        await using var pooler = await StartPoolerAsync();
        await using var app = await StartAppAsync(pooler, isWarm: false);
        await app.CreateTenantAsync("acme");
        await app.DirectAsync(
            "db1",
            """
            CREATE SCHEMA tenant_left;
            COMMENT ON SCHEMA tenant_left IS 'NeoCommons tenant 00000000-0000-0000-0000-000000000001';
            CREATE FUNCTION public.fail() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
            CREATE EVENT TRIGGER fail ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.fail()
            """
        );
        await Assert.ThrowsAnyAsync<Exception>(() => app.CreateTenantAsync("globex"));
        Assert.Equal("acme", await app.AdminAsync("SELECT string_agg(slug, ' ') FROM admin.tenants"));
        await app.DirectAsync("db1", "DROP EVENT TRIGGER fail");

        var found = new List<TenantFinding>();
        await foreach (var finding in app.Get<ITenantDoctor>().ExamineAsync(new() { Mend = true }, Ct))
        {
            found.Add(finding);
        }

        Assert.Equal(
            (TenantFindingKind.OrphanSchema, "tenant_left", true),
            Assert.Single(found.Select(f => (f.Kind, f.Schema, f.IsMended)))
        );
        Assert.Equal(DBNull.Value, await app.DirectAsync("db1", "SELECT to_regnamespace('tenant_left')::text"));
        await AssertNothingIsLeftBehindAsync(app);
    }

    [Fact]
    public async Task An_export_is_refused_and_nothing_is_deleted()
    {
        await using var pooler = await StartPoolerAsync();
        await using var app = await StartAppAsync(pooler, isWarm: false);
        var acme = await app.CreateTenantAsync("acme");
        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            app.Provisioner.DeleteAsync(
                acme.Id,
                new() { ConfirmSlug = "acme", ExportTo = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid()}.dump") },
                Ct
            )
        );

        Assert.Contains("against PostgreSQL itself", refused.Message);
        await app.Provisioner.RestoreAsync(acme.Id, Ct);
        Assert.Equal(0, await CountAsync(app, acme.Id));
    }

    [Theory]
    [InlineData(PgBouncerPoolMode.Transaction)]
    [InlineData(PgBouncerPoolMode.Session)]
    public async Task The_admin_database_is_refused_behind_a_pooler_that_shares_sessions(PgBouncerPoolMode mode)
    {
        await using var pooler = await PgBouncerServer.StartAsync(
            servers.Postgres,
            new() { PoolMode = mode, Settings = { ["ignore_startup_parameters"] = "search_path,extra_float_digits" } },
            Ct
        );
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var acme = await app.CreateTenantAsync("acme");
        var database = new Npgsql.NpgsqlConnectionStringBuilder(app.AdminConnectionString).Database!;
        using var host = TestApp.BuildHost(
            servers.Postgres,
            database,
            new Dictionary<string, string?> { ["ADMIN_DATABASE_URL"] = pooler.GetConnectionString(database) },
            b => b.AddTenantDbContext<ShopDbContext>()
        );
        var provisioner = host.Services.GetRequiredService<ITenantProvisioner>();
        if (mode == PgBouncerPoolMode.Session)
        {
            Assert.Equal(TenantStatus.Suspended, (await provisioner.SuspendAsync(acme.Id, ct: Ct)).Status);
            return;
        }

        foreach (
            var change in new Func<Task>[]
            {
                () => provisioner.SuspendAsync(acme.Id, ct: Ct),
                () =>
                    provisioner.CreateAsync(
                        new()
                        {
                            Slug = "globex",
                            Name = "g",
                            ConnectionName = "db1",
                        },
                        Ct
                    ),
            }
        )
        {
            var refused = await Assert.ThrowsAsync<ConnectionUnavailableException>(change);
            Assert.Contains("ADMIN_DATABASE_URL", refused.Message);
        }

        Assert.Equal("active", await app.AdminAsync("SELECT string_agg(status, ' ') FROM admin.tenants"));
        Assert.Equal(0L, await app.AdminAsync(Locks));
    }

    private Task<PgBouncerServer> StartPoolerAsync() =>
        PgBouncerServer.StartAsync(servers.Postgres, new() { Settings = { ["default_pool_size"] = "3" } }, Ct);

    private async Task<TestApp> StartAppAsync(PgBouncerServer pooler, bool isWarm)
    {
        var app = await TestApp.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?>
            {
                ["NeoCommons:WarmPool:Size"] = isWarm ? "2" : "0",
                ["NeoCommons:WarmPool:Connections:0"] = "elsewhere",
            },
            configure: b => b.AddTenantDbContext<ShopDbContext>(o => o.UseSchemaBinding(SchemaBinding.QualifiedNames))
        );
        await CatalogApp.LetPathsLeadNowhereAsync(app);
        await app.AdminAsync(
            $"UPDATE admin.database_connections SET pooler = 'transaction', host = '{pooler.Host}', port = {pooler.Port}"
        );
        await app.ReloadAsync();
        return app;
    }

    /// <summary>A lock of a session would stay with the server's connection, which the pooler keeps.</summary>
    private static async Task AssertNothingIsLeftBehindAsync(TestApp app)
    {
        Assert.Equal(0L, await app.DirectAsync("db1", Locks));
        Assert.Equal(0L, await app.DirectAsync("db1", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"));
    }

    private static async Task AddProductAsync(TestApp app, TenantId tenant)
    {
        await using var shop = await app.Shop.CreateDbContextAsync(tenant, Ct);
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

    private static async Task<int> CountAsync(TestApp app, TenantId tenant)
    {
        await using var shop = await app.Shop.CreateDbContextAsync(tenant, Ct);
        return await shop.Products.CountAsync(Ct);
    }
}
