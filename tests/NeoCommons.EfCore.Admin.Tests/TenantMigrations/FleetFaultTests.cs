using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

/// <summary>Runs whose network, callers, fellow workers and databases fail them.</summary>
public sealed class FleetFaultTests(TestServers servers)
{
    private static readonly string Key = TestApp.NewKey();

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_history_that_cannot_be_read_is_a_fault_of_its_tenant_only()
    {
        await using var app = await StartAsync();
        await app.AdoptAsync("acme", "globex", "initech");
        await app.DirectAsync("db1", "CREATE TABLE tenant_globex.\"__EFMigrationsHistory\" (n int)");

        var plan = await app.Migrator.PlanAsync(Ct);
        Assert.Equal(
            [PlannedTenantState.Pending, PlannedTenantState.Unknown, PlannedTenantState.Pending],
            plan.Tenants.Select(t => t.State)
        );
        Assert.Contains("\"tenant_globex\" cannot be read (42703", plan.Tenants[1].Error!.Message);

        var run = await app.Migrator.MigrateAllAsync(ct: Ct);
        Assert.Equal((2, "globex"), (run.Done, run.Failures.Single().Slug));
    }

    [Fact]
    public async Task What_is_kept_of_a_failure_has_no_value_of_a_row()
    {
        await using var app = await StartAsync();
        var failure = await Assert.ThrowsAsync<PostgresException>(() =>
            app.AdminAsync("SELECT 'a \"secret\" value'::int")
        );
        Assert.Contains("secret", failure.MessageText);
        Assert.Equal("22P02: invalid input syntax for type integer: \"...\"", FailureText.Of(failure));
    }

    [Fact]
    public async Task A_runner_goes_on_with_what_others_have_added_and_left()
    {
        await using var app = await StartAsync(databases: 2);
        await using var other = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await app.AdminAsync(
            $"UPDATE admin.database_connections SET port = {other.Port} WHERE connection_name = 'db2'"
        );
        await app.ReloadAsync();
        var acme = (await app.AdoptAsync("acme"))[0];
        await app.Migrator.MigrateAsync(acme.Id, Ct);
        await app.DirectAsync(
            "db1",
            "DELETE FROM tenant_acme.\"__EFMigrationsHistory\" WHERE \"MigrationId\" >= '20260102'"
        );
        await using var reader = await app.Databases.OpenConnectionAsync("db1", Ct);
        await using var transaction = await reader.BeginTransactionAsync(Ct);
        await new NpgsqlCommand("SELECT n FROM tenant_acme.runs FOR UPDATE", reader).ExecuteScalarAsync(Ct);
        var running = app.Migrator.MigrateAllAsync(new() { LockTimeout = TimeSpan.Zero }, ct: Ct);
        await Eventually.TrueAsync(async () =>
            await app.AdminAsync("SELECT count(*) FROM admin.tenant_migrations WHERE state = 'running'") is 1L
        );

        // Another process joins with tenants of another server, begins one of them, and dies.
        await app.AdoptManyAsync(2, "db2");
        await app.AdminAsync(
            """
            INSERT INTO admin.tenant_migrations (run_id, tenant_id, connection_id, ring, state, runner)
            SELECT r.id, t.id, t.connection_id, 0, CASE slug WHEN 't0001' THEN 'running' ELSE 'pending' END,
                CASE slug WHEN 't0001' THEN 4711 END
            FROM admin.tenants t, admin.migration_runs r WHERE slug LIKE 't000%'
            """
        );
        await transaction.CommitAsync(Ct);

        var run = await running.WaitAsync(Patience, Ct);
        Assert.Equal((MigrationRunStatus.Completed, 3), (run.Status, run.Done));
        Assert.Equal(101, await app.DirectAsync("db2", "SELECT n FROM tenant_t0001.runs"));
    }

    [Fact]
    public async Task The_error_budget_that_was_given_last_holds()
    {
        await using var app = await StartAsync();
        await app.AdoptManyAsync(5);
        await app.AdoptAsync("bad-one");
        await app.AdminAsync(
            $"INSERT INTO admin.migration_runs (status, target, started_by) VALUES ('running', '{LedgerContext.Third}', 'who died')"
        );
        var canary = new MigrateAllOptions { Rings = [MigrationRing.OfTenants("bad-one")], ErrorBudget = 0 };

        var run = await app.Migrator.MigrateAllAsync(canary, ct: Ct);

        Assert.Equal((MigrationRunStatus.Stopped, 1, 5), (run.Status, run.Failed, run.Pending));
    }

    [Fact]
    public async Task The_last_hundred_runs_are_kept()
    {
        await using var app = await StartAsync();
        await app.AdoptManyAsync(1);
        await app.AdminAsync(
            """
            INSERT INTO admin.migration_runs (status, target, started_by, started_at, finished_at)
            SELECT 'completed', i::text, 'long ago', now() - i * interval '1 day', now() FROM generate_series(1, 150) AS i
            """
        );
        var run = await app.Migrator.MigrateAllAsync(ct: Ct);
        Assert.Equal(100L, await app.AdminAsync("SELECT count(*) FROM admin.migration_runs"));
        Assert.Equal(run.Id, (await app.Migrator.GetStatusAsync(ct: Ct))!.Id);
    }

    [Fact]
    public async Task A_tenant_that_is_renamed_while_all_are_listed_comes_once()
    {
        await using var app = await StartAsync();
        await app.AdoptManyAsync(1_200);
        var seen = new List<Tenant>();
        await foreach (var tenant in app.Get<ITenantStore>().ListAsync(Ct))
        {
            seen.Add(tenant);
            if (seen.Count == 1)
            {
                await app.AdminAsync(
                    "UPDATE admin.tenants SET slug = CASE WHEN slug < 't0600' THEN 'z' ELSE 'a' END || slug"
                );
            }
        }

        Assert.Equal(1_200, seen.DistinctBy(t => t.Id).Count());
        Assert.Equal(1_200, seen.Count);
    }

    [Fact]
    public async Task An_old_and_a_new_version_of_an_application_migrate_at_the_same_time()
    {
        await using var app = await StartAsync();
        using var old = TestApp.BuildHost(
            servers.Postgres,
            new NpgsqlConnectionStringBuilder(app.AdminConnectionString).Database!,
            new Dictionary<string, string?> { ["DB_ENCRYPTION_KEY"] = Key },
            b => b.AddTenantDbContext<OldLedgerContext>()
        );
        await app.AdoptManyAsync(40);

        var runs = await Task.WhenAll(
            app.Migrator.MigrateAllAsync(ct: Ct),
            old.Services.GetRequiredService<ITenantMigrator>().MigrateAllAsync(ct: Ct)
        );

        Assert.All(runs, r => Assert.Equal((MigrationRunStatus.Completed, 0), (r.Status, r.Failed)));
        Assert.Equal([LedgerContext.Third, LedgerContext.Second], runs.Select(r => r.Target));
        await CreateLedger.AssertOnceAsync(app, 40);
        Assert.Equal(
            40L,
            await app.AdminAsync(
                $"SELECT count(*) FROM admin.tenants WHERE schema_version = '{LedgerContext.Third}' AND migrating_until IS NULL"
            )
        );
    }

    [Fact]
    public async Task A_run_outlasts_an_absence_of_the_admin_database()
    {
        await using var fleet = await ProxiedAsync(tenants: 12);
        var proxy = fleet.Admin;
        var away = Task.CompletedTask;
        var reports = new MigrationReports(p =>
        {
            if (p.Tenant is not null && away == Task.CompletedTask)
            {
                proxy.RefuseConnections();
                proxy.Cut();
                away = Task.Run(
                    async () =>
                    {
                        await Task.Delay(TimeSpan.FromMilliseconds(700), Ct);
                        proxy.Restore();
                    },
                    Ct
                );
            }
        });

        var run = await fleet.Migrator.MigrateAllAsync(new() { Parallelism = 2 }, reports, Ct);

        await away;
        Assert.Equal((MigrationRunStatus.Completed, 12), (run.Status, run.Done));
        await CreateLedger.AssertOnceAsync(fleet.App, 12);
    }

    [Fact]
    public async Task A_run_whose_admin_database_stays_away_ends_and_the_next_one_goes_on()
    {
        await using var fleet = await ProxiedAsync(tenants: 6);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var reports = new MigrationReports(p =>
        {
            if (p.Tenant is not null && !cancel.IsCancellationRequested)
            {
                fleet.Admin.RefuseConnections();
                fleet.Admin.Cut();
                cancel.Cancel();
            }
        });
        await Assert.ThrowsAnyAsync<Exception>(() =>
            fleet.Migrator.MigrateAllAsync(new() { Parallelism = 2 }, reports, cancel.Token).WaitAsync(Patience, Ct)
        );
        fleet.Admin.Restore();

        var run = await fleet.Migrator.MigrateAllAsync(ct: Ct);

        Assert.Equal((MigrationRunStatus.Completed, 6), (run.Status, run.Done));
        await CreateLedger.AssertOnceAsync(fleet.App, 6);
    }

    [Fact]
    public async Task A_run_that_is_cancelled_anywhere_leaves_every_tenant_whole_and_nothing_held()
    {
        const int Tenants = 2;
        await using var fleet = await ProxiedAsync(Tenants);
        var cancelled = 0;
        for (var piece = 1; ; piece++)
        {
            await fleet.App.AdminAsync(
                "UPDATE admin.tenants SET schema_version = NULL; DELETE FROM admin.migration_runs"
            );
            await fleet.App.DirectAsync(
                "db1",
                string.Concat(
                    Enumerable
                        .Range(1, Tenants)
                        .Select(i => $"DROP SCHEMA tenant_t{i:0000} CASCADE; CREATE SCHEMA tenant_t{i:0000};")
                )
            );
            using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
            var hit = fleet.Tenants.BeforePiece(piece, ProxyDirection.ToServer, cancel.CancelAsync);
            try
            {
                await fleet
                    .Migrator.MigrateAllAsync(new() { Parallelism = 2 }, ct: cancel.Token)
                    .WaitAsync(Patience, Ct);
            }
            catch (OperationCanceledException)
            {
                cancelled++;
            }

            if (!hit.IsCompleted)
            {
                break;
            }

            await Eventually.EqualAsync(
                (object?)0L,
                () =>
                    fleet.App.DirectAsync(
                        "db1",
                        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                    )
            );
            for (var i = 1; i <= Tenants; i++)
            {
                var n = await fleet.App.DirectAsync(
                    "db1",
                    $"SELECT CASE WHEN to_regclass('tenant_t{i:0000}.runs') IS NULL THEN '' ELSE (xpath('//n/text()', query_to_xml('SELECT n FROM tenant_t{i:0000}.runs', false, false, '')))[1]::text END"
                );
                Assert.True(n is "" or "101", $"Cancelled at {piece}, tenant {i} is half done: {n}.");
            }

            var rest = await fleet.Migrator.MigrateAllAsync(ct: Ct);
            Assert.Equal((MigrationRunStatus.Completed, 0), (rest.Status, rest.Failed));
            await CreateLedger.AssertOnceAsync(fleet.App, Tenants);
        }

        Assert.True(cancelled > 10, $"Only {cancelled} runs were cut short.");
    }

    [Fact]
    public async Task A_database_that_falls_silent_does_not_outlast_the_cancellation()
    {
        await using var fleet = await ProxiedAsync(tenants: 6);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var reports = new MigrationReports(p =>
        {
            if (p.Tenant is not null && !cancel.IsCancellationRequested)
            {
                fleet.Tenants.Blackhole();
                cancel.Cancel();
            }
        });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            fleet.Migrator.MigrateAllAsync(new() { Parallelism = 2 }, reports, cancel.Token).WaitAsync(Patience, Ct)
        );
        fleet.Tenants.Cut();
        fleet.Tenants.Restore();

        var run = await fleet.Migrator.MigrateAllAsync(ct: Ct).WaitAsync(Patience, Ct);

        Assert.Equal((MigrationRunStatus.Completed, 6), (run.Status, run.Done));
        await CreateLedger.AssertOnceAsync(fleet.App, 6);
    }

    [Fact]
    public async Task A_slow_network_that_tears_messages_changes_nothing()
    {
        await using var fleet = await ProxiedAsync(tenants: 4);
        foreach (var proxy in new[] { fleet.Admin, fleet.Tenants })
        {
            proxy.Jitter = TimeSpan.FromMilliseconds(5);
            proxy.PieceSize = 100;
        }

        var run = await fleet.Migrator.MigrateAllAsync(ct: Ct);

        Assert.Equal((MigrationRunStatus.Completed, 4), (run.Status, run.Done));
        await CreateLedger.AssertOnceAsync(fleet.App, 4);
    }

    private Task<TestApp> StartAsync(int databases = 1) =>
        TestApp.StartAsync(
            servers.Postgres,
            databases,
            new Dictionary<string, string?> { ["DB_ENCRYPTION_KEY"] = Key },
            b => b.AddTenantDbContext<LedgerContext>()
        );

    private async Task<ProxiedFleet> ProxiedAsync(int tenants)
    {
        var fleet = await ProxiedFleet.StartAsync(servers);
        await fleet.App.AdoptManyAsync(tenants);
        return fleet;
    }
}
