using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.QualifiedNames;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.SharedTables;

public sealed class SharedMigrationTests(TestServers servers)
{
    private const string Tables =
        "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = to_regnamespace('shared') AND relkind = 'r'";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Shared_tables_and_their_history_lie_in_the_shared_schema_and_a_second_run_changes_nothing()
    {
        await using var app = await StartAsync();

        var first = await app.Get<SharedMigration>().MigrateAsync("db1", Ct);
        var second = await app.Get<SharedMigration>().MigrateAsync("db1", Ct);

        Assert.Equal((null, CountriesContext.Second), (first.From, first.To));
        Assert.Equal([CountriesContext.First, CountriesContext.Second], first.Applied);
        Assert.Equal((CountriesContext.Second, CountriesContext.Second), (second.From, second.To));
        Assert.Empty(second.Applied);
        Assert.Equal("Countries __EFMigrationsHistory", await app.DirectAsync("db1", Tables));
        Assert.Equal(2L, await app.DirectAsync("db1", "SELECT count(*) FROM shared.\"Countries\""));
    }

    [Fact]
    public async Task Many_runners_at_once_apply_each_migration_once()
    {
        await using var app = await StartAsync();

        var results = await Task.WhenAll(
            Enumerable.Range(0, 6).Select(_ => app.Get<SharedMigration>().MigrateAsync("db1", Ct))
        );

        Assert.Equal(2, results.Sum(r => r.Applied.Count));
        Assert.Equal(2L, await app.DirectAsync("db1", "SELECT count(*) FROM shared.\"Countries\""));
    }

    [Fact]
    public async Task Each_database_has_shared_tables_of_its_own()
    {
        await using var app = await StartAsync(databases: 2);

        await app.Get<SharedMigration>().MigrateAsync("db2", Ct);

        Assert.Equal(DBNull.Value, await app.DirectAsync("db1", Tables));
        Assert.Equal("Countries __EFMigrationsHistory", await app.DirectAsync("db2", Tables));
    }

    [Fact]
    public async Task A_failure_leaves_not_even_the_schema()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddSharedDbContext<FailingSharedContext>()
        );

        await Assert.ThrowsAsync<PostgresException>(() => app.Get<SharedMigration>().MigrateAsync("db1", Ct));

        Assert.Equal(DBNull.Value, await app.DirectAsync("db1", "SELECT to_regnamespace('shared')::text"));
    }

    [Fact]
    public async Task What_cannot_run_in_a_transaction_runs_outside_of_one_in_the_shared_schema()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddSharedDbContext<IndexedSharedContext>()
        );

        var result = await app.Get<SharedMigration>().MigrateAsync("db1", Ct);

        Assert.Equal(2, result.Applied.Count);
        Assert.Equal(
            true,
            await app.DirectAsync(
                "db1",
                "SELECT indisvalid FROM pg_index WHERE indexrelid = 'shared.ix_rates'::regclass"
            )
        );
    }

    [Fact]
    public async Task Behind_a_transaction_pooler_all_of_it_is_one_transaction_or_refused()
    {
        await using var pooler = await PgBouncerServer.StartAsync(servers.Postgres, new(), Ct);
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            databases: 2,
            configure: b =>
                b.AddSharedDbContext<CountriesContext>()
                    .AddTenantDbContext<BranchesContext>(o => o.UseSchemaBinding(SchemaBinding.QualifiedNames))
        );
        await CatalogApp.LetPathsLeadNowhereAsync(app);
        await app.AdminAsync(
            $"UPDATE admin.database_connections SET pooler = 'transaction', host = '{pooler.Host}', port = {pooler.Port}"
        );
        await app.ReloadAsync();

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => app.Get<SharedMigration>().MigrateAsync("db1", Ct)));
        await app.CreateTenantAsync("acme");

        Assert.Equal("Countries __EFMigrationsHistory", await app.DirectAsync("db1", Tables));
        await using var context = await app.Get<ITenantDbContextFactory<BranchesContext>>()
            .CreateDbContextAsync("acme", Ct);
        Assert.Equal(2, await context.Countries.CountAsync(Ct));
        await using var shared = await app.Get<ISharedDbContextFactory<CountriesContext>>()
            .CreateDbContextAsync("db1", Ct);
        Assert.Equal(2, await shared.Countries.CountAsync(Ct));
    }

    [Fact]
    public async Task A_database_that_a_newer_version_has_migrated_is_left_alone()
    {
        await using var app = await StartAsync();
        await app.Get<SharedMigration>().MigrateAsync("db1", Ct);
        await app.DirectAsync(
            "db1",
            "INSERT INTO shared.\"__EFMigrationsHistory\" VALUES ('20990101000000_Newer', '99')"
        );

        var result = await app.Get<SharedMigration>().MigrateAsync("db1", Ct);

        Assert.True(result.IsAhead);
        Assert.Empty(result.Applied);
    }

    [Fact]
    public async Task Creating_a_tenant_migrates_the_shared_tables_of_its_database_first()
    {
        await using var app = await StartAsync();

        await app.CreateTenantAsync("acme");
        await app.CreateTenantAsync("globex");

        Assert.Equal("Countries __EFMigrationsHistory", await app.DirectAsync("db1", Tables));
        Assert.Equal(
            2L,
            await app.DirectAsync(
                "db1",
                "SELECT count(*) FROM pg_constraint WHERE confrelid = 'shared.\"Countries\"'::regclass"
            )
        );
    }

    [Fact]
    public async Task What_tenants_are_copied_from_or_taken_from_comes_after_the_shared_tables_too()
    {
        await using var app = await StartAsync(
            databases: 2,
            new Dictionary<string, string?>
            {
                ["NeoCommons:WarmPool:Size"] = "1",
                ["NeoCommons:WarmPool:Connections:0"] = "elsewhere",
            }
        );

        await app.Provisioner.RefreshTemplateAsync("db1", Ct);
        await app.Get<WarmSchemaStock>().RefillAsync("db2", Ct);

        Assert.Equal("Countries __EFMigrationsHistory", await app.DirectAsync("db1", Tables));
        Assert.Equal("Countries __EFMigrationsHistory", await app.DirectAsync("db2", Tables));
        Assert.Equal(BranchesContext.First, await app.AdminAsync("SELECT schema_version FROM admin.warm_schemas"));
    }

    [Fact]
    public async Task A_tenants_migration_that_would_change_the_shared_schema_is_refused()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddSharedDbContext<CountriesContext>().AddTenantDbContext<TrespassingContext>()
        );

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => app.CreateTenantAsync("acme"));

        Assert.Contains("IsShared()", refused.Message);
    }

    [Fact]
    public async Task Without_a_shared_context_nothing_is_done()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);

        await app.Get<SharedMigration>().MigrateAsync("db1", Ct);

        Assert.Equal(DBNull.Value, await app.DirectAsync("db1", "SELECT to_regnamespace('shared')::text"));
    }

    private Task<TestApp> StartAsync(int databases = 1, IReadOnlyDictionary<string, string?>? settings = null) =>
        TestApp.StartAsync(
            servers.Postgres,
            databases,
            settings,
            configure: b => b.AddSharedDbContext<CountriesContext>().AddTenantDbContext<BranchesContext>()
        );
}
