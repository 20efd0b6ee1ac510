using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

/// <summary>A tenant that is renamed, archived or deleted while a migration of it waits for its schema.</summary>
public sealed class MovedTenantTests(TestServers servers)
{
    private const string Waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_try_advisory_lock%' AND datname = current_database()";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("archive", false)]
    [InlineData("archive", true)]
    [InlineData("rename", false)]
    [InlineData("rename", true)]
    public async Task A_tenant_that_moves_while_its_migration_waits_is_no_failure(string change, bool alone)
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<LedgerContext>()
        );
        await app.AdoptManyAsync(2);
        var tenant = (await app.Get<ITenantStore>().FindBySlugAsync("t0001", Ct))!;

        // The change has the schema's lock, and waits for the row.
        await using var holder = new NpgsqlConnection(app.AdminConnectionString + ";Pooling=false");
        await holder.OpenAsync(Ct);
        var holding = await holder.BeginTransactionAsync(Ct);
        await new NpgsqlCommand(
            "SELECT FROM admin.tenants WHERE slug = 't0001' FOR NO KEY UPDATE",
            holder
        ).ExecuteNonQueryAsync(Ct);
        Task<Tenant> changing = change switch
        {
            "archive" => app.Provisioner.ArchiveAsync(tenant.Id, ct: Ct),
            _ => app.Provisioner.RenameAsync(tenant.Id, new() { Slug = "apex", RenameSchema = true }, Ct),
        };
        await Eventually.TrueAsync(async () =>
            await app.AdminAsync(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%FOR UPDATE%' AND wait_event_type = 'Lock' AND datname = current_database()"
            )
                is 1L
        );

        var migrating = alone
            ? Task.Run<object>(async () => await app.Migrator.MigrateAsync(tenant.Id, Ct), Ct)
            : Task.Run<object>(async () => await app.Migrator.MigrateAllAsync(ct: Ct), Ct);
        await Eventually.TrueAsync(async () => await app.DirectAsync("db1", Waiting) is 1L);
        await holding.RollbackAsync(Ct);
        var moved = await changing;

        if (alone && change == "archive")
        {
            await Assert.ThrowsAsync<TenantUnavailableException>(() => migrating);
        }
        else if (alone)
        {
            Assert.Equal(TenantMigrationStatus.Migrated, ((TenantMigrationResult)await migrating).Status);
        }
        else
        {
            var run = (MigrationRun)await migrating;
            Assert.Equal((MigrationRunStatus.Completed, 2, 0), (run.Status, run.Done, run.Failed));
        }

        Assert.Equal(
            change == "archive" ? 0L : 1L,
            await app.DirectAsync(
                "db1",
                $"SELECT count(*) FROM pg_class WHERE relname = 'runs' AND relnamespace = '{moved.Schema}'::regnamespace"
            )
        );
        Assert.Equal(
            change == "archive" ? DBNull.Value : (object)LedgerContext.Third,
            await app.AdminAsync($"SELECT schema_version FROM admin.tenants WHERE id = '{tenant.Id}'")
        );
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants WHERE migrating_until IS NOT NULL"));
    }
}
