using Microsoft.Extensions.DependencyInjection;
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
    public async Task A_database_that_a_newer_version_has_migrated_is_left_alone()
    {
        await using var app = await StartAsync();
        await app.Get<SharedMigration>().MigrateAsync("db1", Ct);
        await app.DirectAsync(
            "db1",
            "INSERT INTO shared.\"__EFMigrationsHistory\" VALUES ('20990101000000_Newer', '99'); "
                + $"DELETE FROM shared.\"__EFMigrationsHistory\" WHERE \"MigrationId\" = '{CountriesContext.Second}'"
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

    private Task<TestApp> StartAsync(int databases = 1) =>
        TestApp.StartAsync(
            servers.Postgres,
            databases,
            configure: b => b.AddSharedDbContext<CountriesContext>().AddTenantDbContext<BranchesContext>()
        );
}
