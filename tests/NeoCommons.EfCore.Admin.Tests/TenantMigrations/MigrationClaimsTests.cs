using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

public sealed class MigrationClaimsTests(TestServers servers)
{
    private static readonly long[] Workers = [4711, 4712];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Two_that_end_with_a_tenant_at_the_same_moment_leave_it_in_use()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var tenant = await app.CreateTenantAsync("acme");
        var claims = app.Get<MigrationClaims>();
        await using var source = NpgsqlDataSource.Create(app.AdminConnectionString);
        await using var alive = await source.OpenConnectionAsync(Ct);
        var runs = new List<Guid>();
        foreach (var worker in Workers)
        {
            await ExecuteAsync(alive, $"SELECT pg_advisory_lock({worker})");
            runs.Add(
                (Guid)
                    (
                        await app.AdminAsync(
                            $"""
                            WITH run AS (
                                INSERT INTO admin.migration_runs (status, target, started_by, migrations)
                                VALUES ('running', 'x', 'worker {worker}', '{worker}')
                                RETURNING id)
                            INSERT INTO admin.tenant_migrations (run_id, tenant_id, connection_id, ring, state, runner)
                            SELECT run.id, t.id, t.connection_id, 0, 'running', {worker} FROM run, admin.tenants t
                            RETURNING run_id
                            """
                        )
                    )!
            );
        }

        await claims.BeginAsync(tenant.Id, Ct);
        Assert.IsType<DateTime>(await MigratingUntilAsync(app));

        // Both wait for the tenant's row, so each has begun before the other has ended.
        await using var holder = await source.OpenConnectionAsync(Ct);
        var transaction = await holder.BeginTransactionAsync(Ct);
        await ExecuteAsync(holder, "SELECT FROM admin.tenants FOR UPDATE");
        var ending = Workers.Zip(runs).Select(w => claims.RecordAsync(w.Second, w.First, Done(tenant), Ct)).ToList();
        await Eventually.EqualAsync<object?>(
            2L,
            () =>
                app.AdminAsync(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
        );
        await transaction.CommitAsync(Ct);
        await Task.WhenAll(ending);

        Assert.Equal(DBNull.Value, await MigratingUntilAsync(app));
    }

    private static Task<object?> MigratingUntilAsync(TestApp app) =>
        app.AdminAsync("SELECT migrating_until FROM admin.tenants");

    private static TenantMigrationResult Done(Tenant tenant) =>
        new()
        {
            TenantId = tenant.Id,
            Slug = tenant.Slug,
            Status = TenantMigrationStatus.Migrated,
        };

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Ct);
    }
}
