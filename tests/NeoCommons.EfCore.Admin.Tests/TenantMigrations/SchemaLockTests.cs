using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

/// <summary>What somebody holds, of a tenant, keeps neither the other tenants waiting nor the tenant's own contexts.</summary>
public sealed class SchemaLockTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_history_that_is_locked_is_unknown_and_the_others_are_planned()
    {
        await using var app = await StartAsync();
        await app.MigrateAllAsync();
        await using var holder = await OpenAsync(app);
        await using var transaction = await holder.BeginTransactionAsync(Ct);
        await new NpgsqlCommand("LOCK TABLE tenant_t0001.\"__EFMigrationsHistory\"", holder).ExecuteNonQueryAsync(Ct);

        var plan = await app.Migrator.PlanAsync(Ct);

        Assert.Equal([PlannedTenantState.Unknown, PlannedTenantState.UpToDate], plan.Tenants.Select(t => t.State));
        Assert.Contains("cannot be read (55P03", plan.Tenants[0].Error!.Message);
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            app.Migrator.GenerateScriptAsync(plan.Tenants[0].TenantId, Ct)
        );
        Assert.Contains("cannot be read (55P03", refused.Message);
    }

    [Fact]
    public async Task A_schema_that_stays_locked_fails_its_tenant_names_the_holder_and_leaves_the_rest_alone()
    {
        await using var app = await StartAsync();
        await using var holder = await HoldAsync(app, "tenant_t0001");

        var run = await app.Migrator.MigrateAllAsync(new() { SchemaLockTimeout = TimeSpan.Zero }, ct: Ct);

        Assert.Equal((MigrationRunStatus.Failed, 1, 1), (run.Status, run.Done, run.Failed));
        var failure = Assert.Single(run.Failures);
        Assert.Equal("t0001", failure.Slug);
        Assert.Contains("neocommons.migrate:tenant_t0001", failure.Error);
        Assert.Contains($"pid {holder.ProcessID}", failure.Error);
        Assert.Equal(
            0L,
            await app.DirectAsync(
                "db1",
                "SELECT count(*) FROM pg_class WHERE relnamespace = 'tenant_t0001'::regnamespace"
            )
        );
    }

    [Fact]
    public async Task A_tenant_that_waits_for_its_schema_can_be_used_meanwhile()
    {
        await using var app = await StartAsync();
        await using var holder = await HoldAsync(app, "tenant_t0001");
        var tenant = (await app.Get<ITenantStore>().FindBySlugAsync("t0001", Ct))!;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Ct);

        var alone = app.Migrator.MigrateAsync(tenant.Id, stop.Token);
        var fleet = app.Migrator.MigrateAllAsync(ct: stop.Token);

        await Eventually.TrueAsync(async () =>
            await app.AdminAsync("SELECT count(*) FROM admin.tenant_migrations WHERE state = 'done'") is 1L
        );
        await Eventually.TrueAsync(async () =>
            await app.DirectAsync(
                "db1",
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_try_advisory_lock%' AND datname = current_database()"
            )
                is 2L
        );
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants WHERE migrating_until IS NOT NULL"));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => alone);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => fleet);
    }

    [Fact]
    public async Task Who_gives_up_does_not_say_that_the_migration_of_another_has_ended()
    {
        await using var app = await StartAsync();
        await using var holder = await HoldAsync(app, "tenant_t0001");
        await app.AdminAsync(
            "UPDATE admin.tenants SET migrating_until = now() + interval '1 hour' WHERE slug = 't0001'"
        );

        await app.Migrator.MigrateAllAsync(new() { SchemaLockTimeout = TimeSpan.Zero }, ct: Ct);

        Assert.Equal(
            "t0001",
            await app.AdminAsync("SELECT string_agg(slug, ',') FROM admin.tenants WHERE migrating_until IS NOT NULL")
        );
    }

    [Fact]
    public async Task Who_is_cancelled_while_it_waits_does_not_say_that_the_migration_of_another_has_ended()
    {
        await using var app = await StartAsync();
        await using var holder = await HoldAsync(app, "tenant_t0001");
        await app.AdminAsync(
            "UPDATE admin.tenants SET migrating_until = now() + interval '1 hour' WHERE slug = 't0001'"
        );
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var run = app.Migrator.MigrateAllAsync(ct: stop.Token);
        await Eventually.TrueAsync(async () =>
            await app.AdminAsync("SELECT count(*) FROM admin.tenant_migrations WHERE state = 'done'") is 1L
        );

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run);

        Assert.Equal(
            "t0001",
            await app.AdminAsync("SELECT string_agg(slug, ',') FROM admin.tenants WHERE migrating_until IS NOT NULL")
        );
        Assert.Equal(
            "done pending",
            await app.AdminAsync("SELECT string_agg(state, ' ' ORDER BY state) FROM admin.tenant_migrations")
        );
    }

    [Fact]
    public async Task A_worker_that_has_to_wait_for_its_turn_keeps_no_schema_locked()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            databases: 2,
            configure: b => b.AddTenantDbContext<LedgerContext>()
        );
        await app.AdoptManyAsync(3, "db1");
        await app.DirectAsync("db2", "CREATE SCHEMA tenant_slow");
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) "
                + "SELECT 'slow', 'slow', 'tenant_slow', id FROM admin.database_connections WHERE connection_name = 'db2'"
        );

        // Another server as the run sees it, though it is the same: one that has its turn and keeps it.
        await app.AdminAsync(
            "UPDATE admin.database_connections SET host = CASE connection_name WHEN 'db1' THEN '127.0.0.1' ELSE 'localhost' END"
        );
        await app.ReloadAsync();
        await using var holder = await HoldAsync(app, "tenant_slow", "db2");
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var run = app.Migrator.MigrateAllAsync(new() { Parallelism = 1 }, ct: stop.Token);
        await Eventually.TrueAsync(async () =>
            await app.AdminAsync(
                "SELECT count(*) FROM admin.tenant_migrations m JOIN admin.tenants t ON t.id = m.tenant_id WHERE state = 'running' AND slug = 'slow'"
            )
                is 1L
        );
        await Task.Delay(300, Ct);

        Assert.False(run.IsCompleted);
        Assert.Equal(
            0L,
            await app.DirectAsync(
                "db1",
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        );
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run);
    }

    private async Task<TestApp> StartAsync()
    {
        var app = await TestApp.StartAsync(servers.Postgres, configure: b => b.AddTenantDbContext<LedgerContext>());
        await app.AdoptManyAsync(2);
        return app;
    }

    private static async Task<NpgsqlConnection> HoldAsync(TestApp app, string schema, string name = "db1")
    {
        var holder = await OpenAsync(app, name);
        await new NpgsqlCommand(
            $"SELECT pg_advisory_lock(hashtextextended('neocommons.migrate:{schema}', 0))",
            holder
        ).ExecuteNonQueryAsync(Ct);
        return holder;
    }

    private static async Task<NpgsqlConnection> OpenAsync(TestApp app, string name = "db1")
    {
        var database = (string)
            (
                await app.AdminAsync(
                    $"SELECT database_name FROM admin.database_connections WHERE connection_name = '{name}'"
                )
            )!;
        var connection = new NpgsqlConnection(app.Server.GetConnectionString(database) + ";Pooling=false");
        await connection.OpenAsync(Ct);
        return connection;
    }
}
