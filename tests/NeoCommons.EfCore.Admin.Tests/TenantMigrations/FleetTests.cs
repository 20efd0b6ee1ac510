using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

public sealed class FleetTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(3)]
    [InlineData(250)]
    public async Task The_plan_asks_a_database_once_whatever_the_number_of_its_schemas(int tenants)
    {
        await using var app = await StartAsync<LedgerContext>();
        await app.AdoptManyAsync(tenants);
        var behind = await BySlugAsync(app, "t0001");
        await app.Migrator.MigrateAsync(behind.Id, Ct);
        await app.DirectAsync(
            "db1",
            $"DELETE FROM tenant_t0001.\"__EFMigrationsHistory\" WHERE \"MigrationId\" = '{LedgerContext.Third}'"
        );
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await app.AdminAsync($"UPDATE admin.database_connections SET host = '{proxy.Host}', port = {proxy.Port}");
        await app.ReloadAsync();

        var before = proxy.Counters.RoundTrips;
        var plan = await app.Migrator.PlanAsync(Ct);
        var trips = proxy.Counters.RoundTrips - before;

        // The login has a few of its own; what counts is that tenants have none.
        Assert.Equal(LoginTrips + 1, trips);
        Assert.Equal(LedgerContext.Third, plan.Target);
        Assert.Equal(tenants, plan.Pending.Count());
        Assert.Equal(
            (PlannedTenantState.Pending, LedgerContext.Second, 1),
            plan.Tenants.Where(t => t.Slug == "t0001").Select(t => (t.State, t.Version, t.PendingMigrations)).Single()
        );
        Assert.Equal(3, plan.Tenants[^1].PendingMigrations);
        Assert.Null(plan.Tenants[^1].Version);
    }

    [Fact]
    public async Task Where_nothing_is_pending_no_run_is_begun_and_versions_are_put_right()
    {
        await using var app = await StartAsync<LedgerContext>();
        await app.AdoptManyAsync(3);
        await app.MigrateAllAsync();
        await app.AdminAsync("UPDATE admin.tenants SET schema_version = NULL");

        var run = await app.Migrator.MigrateAllAsync(ct: Ct);

        Assert.Equal((null, MigrationRunStatus.Completed, 0), (run.Id, run.Status, run.Total));
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.migration_runs"));
        Assert.Equal(
            3L,
            await app.AdminAsync($"SELECT count(*) FROM admin.tenants WHERE schema_version = '{LedgerContext.Third}'")
        );
    }

    [Fact]
    public async Task A_run_is_kept_with_what_became_of_each_tenant()
    {
        await using var app = await StartAsync<LedgerContext>();
        await app.AdoptAsync("acme", "bad-one", "globex");
        await app.DirectAsync("db1", "DROP SCHEMA tenant_globex");

        var run = await app.Migrator.MigrateAllAsync(ct: Ct);

        Assert.Equal((MigrationRunStatus.Failed, 1, 2, 3), (run.Status, run.Done, run.Failed, run.Total));
        Assert.NotNull(run.FinishedAt);
        Assert.Equal(["bad-one", "globex"], run.Failures.Select(f => f.Slug));
        foreach (var asked in new[] { null, run.Id })
        {
            Assert.Equivalent(run, await app.Migrator.GetStatusAsync(asked, Ct), strict: true);
        }

        Assert.Equal(
            "20260103000000_FailInBadSchemas: P0001: this schema is bad",
            await app.AdminAsync(
                "SELECT error FROM admin.tenant_migrations m JOIN admin.tenants t ON t.id = m.tenant_id WHERE slug = 'bad-one'"
            )
        );
        Assert.Contains(
            "does not exist",
            (string?)
                await app.AdminAsync(
                    "SELECT error FROM admin.tenant_migrations m JOIN admin.tenants t ON t.id = m.tenant_id WHERE slug = 'globex'"
                )
        );
        Assert.Equal(
            $"done|{LedgerContext.Third}",
            await app.AdminAsync(
                "SELECT state || '|' || to_version FROM admin.tenant_migrations WHERE duration_ms >= 0 AND error IS NULL"
            )
        );
        Assert.Equal(0L, await app.AdminAsync("SELECT count(migrating_until) FROM admin.tenants"));
    }

    [Fact]
    public async Task Canaries_come_first_and_the_error_budget_stops_the_run_behind_them()
    {
        await using var app = await StartAsync<LedgerContext>();
        await app.AdoptManyAsync(20);
        await app.AdoptAsync("bad-one");
        var options = new MigrateAllOptions { Rings = [MigrationRing.OfTenants("bad-one")], ErrorBudget = 0 };

        var stopped = await app.Migrator.MigrateAllAsync(options, ct: Ct);

        Assert.Equal((MigrationRunStatus.Stopped, 1, 20), (stopped.Status, stopped.Failed, stopped.Pending));
        Assert.Equal(0L, await app.DirectAsync("db1", "SELECT count(*) FROM pg_class WHERE relname = 'runs'"));

        // Whoever is sure goes on, in a new run.
        var rest = await app.Migrator.MigrateAllAsync(ct: Ct);
        Assert.NotEqual(stopped.Id, rest.Id);
        Assert.Equal((MigrationRunStatus.Failed, 20, 1), (rest.Status, rest.Done, rest.Failed));
    }

    [Fact]
    public async Task Rings_of_a_share_are_done_one_after_the_other()
    {
        await using var app = await StartAsync<LedgerContext>();
        await app.AdoptManyAsync(20);
        var run = await app.Migrator.MigrateAllAsync(
            new() { Rings = [MigrationRing.OfPercent(10), MigrationRing.OfPercent(50)] },
            ct: Ct
        );
        Assert.Equal(20, run.Done);
        Assert.Equal(
            "2,8,10",
            await app.AdminAsync(
                "SELECT string_agg(n::text, ',' ORDER BY ring) FROM (SELECT ring, count(*) n FROM admin.tenant_migrations GROUP BY ring) r"
            )
        );
        Assert.Equal(
            true,
            await app.AdminAsync(
                """
                SELECT bool_and(begun >= done) FROM (
                    SELECT min(started_at) begun, lag(max(started_at + duration_ms * interval '1 ms')) OVER (ORDER BY ring) done
                    FROM admin.tenant_migrations GROUP BY ring) r
                """
            )
        );
    }

    [Fact]
    public async Task A_run_whose_process_has_died_is_gone_on_with()
    {
        await using var app = await StartAsync<LedgerContext>();
        await app.AdoptManyAsync(6);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            app.Migrator.MigrateAllAsync(
                new() { Parallelism = 1 },
                new MigrationReports(p =>
                {
                    if (p.Tenant is not null)
                    {
                        cancel.Cancel();
                    }
                }),
                cancel.Token
            )
        );

        // What a process that was killed leaves behind: a claim that nobody holds the lock of.
        await app.AdminAsync(
            """
            UPDATE admin.tenant_migrations SET state = 'running', runner = 4711 WHERE tenant_id = (
                SELECT tenant_id FROM admin.tenant_migrations WHERE state = 'pending' LIMIT 1)
            """
        );
        var dead = (await app.Migrator.GetStatusAsync(ct: Ct))!;
        Assert.Equal((MigrationRunStatus.Running, 1, 0), (dead.Status, dead.Running, dead.Workers));

        var run = await app.Migrator.MigrateAllAsync(ct: Ct);

        Assert.Equal((dead.Id, MigrationRunStatus.Completed, 6), (run.Id, run.Status, run.Done));
        await CreateLedger.AssertOnceAsync(app, 6);
    }

    [Fact]
    public async Task A_statement_that_waits_for_a_lock_is_rolled_back_and_tried_again()
    {
        await using var app = await StartAsync<LedgerContext>();
        var tenant = (await app.AdoptAsync("acme"))[0];
        await app.Migrator.MigrateAsync(tenant.Id, Ct);
        await app.DirectAsync(
            "db1",
            $"DELETE FROM tenant_acme.\"__EFMigrationsHistory\" WHERE \"MigrationId\" = '{LedgerContext.Third}'"
        );
        await using var reader = await app.Databases.OpenConnectionAsync("db1", Ct);
        await using var transaction = await reader.BeginTransactionAsync(Ct);
        await new NpgsqlCommand("SELECT n FROM tenant_acme.runs FOR UPDATE", reader).ExecuteScalarAsync(Ct);

        var patient = app.Migrator.MigrateAllAsync(
            new() { LockTimeout = TimeSpan.FromMilliseconds(50), Attempts = 1000 },
            ct: Ct
        );
        await Eventually.TrueAsync(async () =>
            await app.DirectAsync(
                "db1",
                "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()"
            )
                is > 2L
        );
        await transaction.CommitAsync(Ct);

        Assert.Equal(MigrationRunStatus.Completed, (await patient).Status);
        Assert.Equal(201, await app.DirectAsync("db1", "SELECT n FROM tenant_acme.runs"));
    }

    [Fact]
    public async Task A_runner_with_nothing_to_do_holds_no_lock_of_a_schema()
    {
        await using var app = await StartAsync<LedgerContext>();
        await app.AdoptManyAsync(2);
        var tenants = new[] { await BySlugAsync(app, "t0001"), await BySlugAsync(app, "t0002") };

        // The second tenant waits for its lock, and the worker of the first one for the end of the run.
        await using var session = new NpgsqlConnection(
            app.Server.GetConnectionString(await DatabaseAsync(app)) + ";Pooling=false"
        );
        await session.OpenAsync(Ct);
        await new NpgsqlCommand(
            "SELECT pg_advisory_lock(hashtextextended('neocommons.migrate:tenant_t0002', 0))",
            session
        ).ExecuteNonQueryAsync(Ct);
        var running = app.Migrator.MigrateAllAsync(ct: Ct);
        await Eventually.TrueAsync(async () =>
            await app.AdminAsync("SELECT count(*) FROM admin.tenant_migrations WHERE state = 'done'") is 1L
        );
        Assert.Equal(TenantMigrationStatus.UpToDate, (await app.Migrator.MigrateAsync(tenants[0].Id, Ct)).Status);
        Assert.False(running.IsCompleted);
        await session.CloseAsync();
        Assert.Equal(MigrationRunStatus.Completed, (await running).Status);
    }

    [Fact]
    public async Task Two_applications_that_share_a_history_are_told_so()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<NotesContext>()
        );
        var tenant = (await app.AdoptAsync("acme"))[0];
        await app.DirectAsync(
            "db1",
            "CREATE TABLE tenant_acme.\"__EFMigrationsHistory\" (\"MigrationId\" varchar(150) PRIMARY KEY, \"ProductVersion\" varchar(32) NOT NULL); "
                + "INSERT INTO tenant_acme.\"__EFMigrationsHistory\" VALUES ('20990101000000_Theirs', '10')"
        );
        var planned = Assert.Single((await app.Migrator.PlanAsync(Ct)).Tenants);
        Assert.Equal(PlannedTenantState.Unknown, planned.State);
        Assert.Contains("MigrationsHistoryTable", planned.Error!.Message);
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            app.Migrator.MigrateAsync(tenant.Id, Ct)
        );
        Assert.Contains("20990101000000_Theirs", refused.Message);
        Assert.Equal(MigrationRunStatus.Failed, (await app.Migrator.MigrateAllAsync(ct: Ct)).Status);
    }

    [Fact]
    public async Task A_canary_that_is_not_there_is_refused()
    {
        await using var app = await StartAsync<LedgerContext>();
        await app.AdoptManyAsync(2);
        var refused = await Assert.ThrowsAsync<ArgumentException>(() =>
            app.Migrator.MigrateAllAsync(new() { Rings = [MigrationRing.OfTenants("t0001", "misspelt")] }, ct: Ct)
        );
        Assert.Contains("misspelt", refused.Message);
        Assert.Equal(0L, await app.DirectAsync("db1", "SELECT count(*) FROM pg_class WHERE relname = 'runs'"));
    }

    [Fact]
    public async Task Options_out_of_range_are_refused()
    {
        await using var app = await StartAsync<LedgerContext>();
        MigrateAllOptions[] wrong =
        [
            new() { Parallelism = 0 },
            new() { ParallelismPerServer = 0 },
            new() { Attempts = 0 },
            new() { ErrorBudget = -1 },
            new() { LockTimeout = TimeSpan.FromSeconds(-1) },
        ];
        foreach (var options in wrong)
        {
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => app.Migrator.MigrateAllAsync(options, ct: Ct));
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => MigrationRing.OfPercent(0));
        Assert.Throws<ArgumentException>(() => MigrationRing.OfTenants());
    }

    // Startup, password, the look at what a new session is like.
    private const int LoginTrips = 4;

    private Task<TestApp> StartAsync<TContext>()
        where TContext : DbContext =>
        TestApp.StartAsync(servers.Postgres, configure: b => b.AddTenantDbContext<TContext>());

    private static async Task<string> DatabaseAsync(TestApp app) =>
        (string)(await app.AdminAsync("SELECT database_name FROM admin.database_connections"))!;

    private static async Task<Tenant> BySlugAsync(TestApp app, string slug) =>
        (await app.Get<ITenantStore>().FindBySlugAsync(slug, Ct))!;
}
