using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

public sealed class ConcurrentIndexTests(TestServers servers)
{
    private const string Progress = "\"__NeoCommonsMigrationProgress\"";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public Task An_index_that_was_being_built_when_the_backend_died_is_built_again() =>
        AssertBuiltAgainAsync<IndexedContext>();

    [Fact]
    public Task So_is_one_whose_statement_has_comments_and_may_find_it_there() =>
        AssertBuiltAgainAsync<ExplainedIndexContext>();

    [Fact]
    public async Task An_index_without_a_name_is_refused_before_the_first_tenant()
    {
        await using var app = await StartAsync<NamelessIndexContext>();
        await app.AdoptAsync("acme");
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => app.Migrator.MigrateAllAsync(ct: Ct));
        Assert.Contains("20260101000000_Nameless", refused.Message);
        Assert.Equal(DBNull.Value, await app.DirectAsync("db1", "SELECT to_regclass('tenant_acme.things')::text"));
    }

    private async Task AssertBuiltAgainAsync<TContext>()
        where TContext : DbContext
    {
        await using var app = await StartAsync<TContext>();
        var tenant = (await app.AdoptAsync("acme"))[0];
        await app.DirectAsync("db1", "CREATE TABLE tenant_acme.blocker (n int)");

        // CREATE INDEX CONCURRENTLY waits for every transaction that has a snapshot.
        await using var reader = await app.Databases.OpenConnectionAsync("db1", Ct);
        await using var transaction = await reader.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, Ct);
        await new NpgsqlCommand("SELECT * FROM tenant_acme.blocker", reader).ExecuteNonQueryAsync(Ct);
        var migrating = app.Migrator.MigrateAsync(tenant.Id, Ct);
        await Eventually.TrueAsync(async () => await IsValidAsync(app) is false);
        await app.DirectAsync(
            "db1",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%INDEX%CONCURRENTLY%' AND pid <> pg_backend_pid() AND datname = current_database()"
        );
        await Eventually.TrueAsync(async () =>
            await app.DirectAsync(
                "db1",
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%INDEX%CONCURRENTLY%' AND pid <> pg_backend_pid() AND datname = current_database()"
            )
                is > 0L
        );
        await transaction.CommitAsync(Ct);

        Assert.Equal(TenantMigrationStatus.Migrated, (await migrating).Status);
        Assert.Equal(true, await IsValidAsync(app));
        await AssertNothingLeftAsync(app);
    }

    [Theory]
    [InlineData(1, "CREATE TABLE tenant_acme.things (n int); INSERT INTO tenant_acme.things VALUES (1)")]
    [InlineData(
        1,
        "CREATE TABLE tenant_acme.things (n int); INSERT INTO tenant_acme.things VALUES (1); CREATE INDEX ix_things_n ON tenant_acme.things (n)"
    )]
    public async Task A_migration_that_was_killed_between_its_statements_goes_on_there(int statements, string reached)
    {
        await using var app = await StartAsync<IndexedContext>();
        var tenant = (await app.AdoptAsync("acme"))[0];
        await app.DirectAsync(
            "db1",
            reached
                + $"; CREATE TABLE tenant_acme.{Progress} (migration text PRIMARY KEY, statements int NOT NULL, begun boolean NOT NULL); "
                + $"INSERT INTO tenant_acme.{Progress} VALUES ('20260102000000_Index', {statements}, true); "
                + "CREATE TABLE tenant_acme.\"__EFMigrationsHistory\" (\"MigrationId\" varchar(150) PRIMARY KEY, \"ProductVersion\" varchar(32) NOT NULL); "
                + "INSERT INTO tenant_acme.\"__EFMigrationsHistory\" VALUES ('20260101000000_Table', '10')"
        );

        var result = await app.Migrator.MigrateAsync(tenant.Id, Ct);

        Assert.Equal(["20260102000000_Index"], result.Applied);
        Assert.Equal(true, await IsValidAsync(app));
        await AssertNothingLeftAsync(app);
    }

    [Fact]
    public async Task An_index_of_that_name_that_nobody_has_begun_is_not_taken_for_the_migrations()
    {
        await using var app = await StartAsync<IndexedContext>();
        var tenant = (await app.AdoptAsync("acme"))[0];
        await app.DirectAsync(
            "db1",
            "CREATE TABLE tenant_acme.other (m int); CREATE INDEX ix_things_n ON tenant_acme.other (m)"
        );
        var failed = await Assert.ThrowsAsync<PostgresException>(() => app.Migrator.MigrateAsync(tenant.Id, Ct));
        Assert.Equal(PostgresErrorCodes.DuplicateTable, failed.SqlState);

        // Nor when it is tried again.
        failed = await Assert.ThrowsAsync<PostgresException>(() => app.Migrator.MigrateAsync(tenant.Id, Ct));
        Assert.Equal(PostgresErrorCodes.DuplicateTable, failed.SqlState);
        await app.DirectAsync("db1", "DROP TABLE tenant_acme.other");
        await app.Migrator.MigrateAsync(tenant.Id, Ct);
        Assert.Equal(true, await IsValidAsync(app));
        await AssertNothingLeftAsync(app);
    }

    private Task<TestApp> StartAsync<TContext>()
        where TContext : DbContext =>
        TestApp.StartAsync(servers.Postgres, configure: b => b.AddTenantDbContext<TContext>());

    private static async Task<object?> IsValidAsync(TestApp app) =>
        await app.DirectAsync(
            "db1",
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('tenant_acme.ix_things_n')"
        );

    private static async Task AssertNothingLeftAsync(TestApp app)
    {
        Assert.Equal(1L, await app.DirectAsync("db1", "SELECT count(*) FROM tenant_acme.things"));
        Assert.Equal(DBNull.Value, await app.DirectAsync("db1", $"SELECT to_regclass('tenant_acme.{Progress}')::text"));
    }
}
