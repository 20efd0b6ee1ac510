using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

/// <summary>Runs that are still called running when the next one finds nothing left to do.</summary>
public sealed class ForgottenRunTests(TestServers servers)
{
    private const long Runner = 4711;

    private static readonly string[] Ended = ["completed", "done", "done"];
    private static readonly string[] LeftAlone = ["running", "pending", "running"];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_run_that_was_killed_at_its_very_end_is_ended_by_the_next()
    {
        await using var app = await StartAsync("migrations");
        Assert.Null((await app.Migrator.MigrateAllAsync(ct: Ct)).Id);
        Assert.Equal(Ended, await StatesAsync(app));
    }

    [Fact]
    public async Task So_is_that_of_an_older_version_of_the_application()
    {
        await using var app = await StartAsync("(string_to_array(migrations, E'\\n'))[1]");
        Assert.Null((await app.Migrator.MigrateAllAsync(ct: Ct)).Id);
        Assert.Equal(Ended, await StatesAsync(app));
    }

    [Fact]
    public async Task Another_applications_run_is_left_alone()
    {
        // Its last migration is older than ours: its tenants lack it all the same.
        await using var app = await StartAsync("'\"__OtherHistory\" 20250101000000_Other'", "20250101000000_Other");
        Assert.Null((await app.Migrator.MigrateAllAsync(ct: Ct)).Id);
        Assert.Equal(LeftAlone, await StatesAsync(app));
    }

    [Fact]
    public async Task So_is_one_that_somebody_works_at()
    {
        await using var app = await StartAsync("migrations");
        await using var worker = new NpgsqlConnection(app.AdminConnectionString + ";Pooling=false");
        await worker.OpenAsync(Ct);
        await new NpgsqlCommand($"SELECT pg_advisory_lock({Runner})", worker).ExecuteNonQueryAsync(Ct);

        Assert.Null((await app.Migrator.MigrateAllAsync(ct: Ct)).Id);
        Assert.Equal(LeftAlone, await StatesAsync(app));

        await worker.CloseAsync();
        Assert.Null((await app.Migrator.MigrateAllAsync(ct: Ct)).Id);
        Assert.Equal(Ended, await StatesAsync(app));
    }

    [Fact]
    public async Task A_tenant_that_was_archived_meanwhile_does_not_keep_it_running()
    {
        await using var app = await StartAsync("migrations");
        await app.AdminAsync("UPDATE admin.tenants SET status = 'archived' WHERE slug = 't0001'");
        await app.ReloadAsync();
        Assert.Null((await app.Migrator.MigrateAllAsync(ct: Ct)).Id);
        Assert.Equal(Ended, await StatesAsync(app));
    }

    [Fact]
    public async Task Runs_to_the_same_target_that_apply_different_migrations_are_not_one()
    {
        await using var app = await StartAsync("'\"__OtherHistory\" ' || target");
        await app.AdoptAsync("new");
        var run = await app.Migrator.MigrateAllAsync(ct: Ct);
        Assert.Equal((MigrationRunStatus.Completed, 1), (run.Status, run.Done));
        Assert.Equal(LeftAlone, await StatesAsync(app, $"id <> '{run.Id}'"));
    }

    /// <summary>Both tenants have everything, and their run says that one is waiting, and the other one under way.</summary>
    private async Task<TestApp> StartAsync(string migrations, string target = LedgerContext.Third)
    {
        var app = await TestApp.StartAsync(servers.Postgres, configure: b => b.AddTenantDbContext<LedgerContext>());
        await app.AdoptManyAsync(2);
        await app.Migrator.MigrateAllAsync(ct: Ct);
        await app.AdminAsync(
            $"UPDATE admin.migration_runs SET status = 'running', finished_at = NULL, target = '{target}', migrations = {migrations}; "
                + "UPDATE admin.tenant_migrations m SET state = CASE t.slug WHEN 't0001' THEN 'pending' ELSE 'running' END, "
                + $"runner = CASE t.slug WHEN 't0002' THEN {Runner} END FROM admin.tenants t WHERE t.id = m.tenant_id"
        );
        return app;
    }

    private static async Task<string[]> StatesAsync(TestApp app, string which = "true") =>
        (string[])
            (
                await app.AdminAsync(
                    $"""
                    SELECT ARRAY(SELECT status FROM admin.migration_runs WHERE {which}) || ARRAY(
                        SELECT m.state FROM admin.tenant_migrations m JOIN admin.tenants t ON t.id = m.tenant_id
                        WHERE m.run_id = (SELECT id FROM admin.migration_runs WHERE {which}) ORDER BY t.slug)
                    """
                )
            )!;
}
