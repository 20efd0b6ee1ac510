using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

public sealed class TenantMigratorTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Pending_migrations_are_applied_once_and_recorded_in_the_tenants_own_schema()
    {
        await using var app = await StartAsync();
        var tenants = await app.AdoptAsync("acme", "globex");

        var first = await app.MigrateAllAsync();
        var second = await app.MigrateAllAsync();

        Assert.All(
            first,
            r =>
                Assert.Equal(
                    (TenantMigrationStatus.Migrated, null, LedgerContext.Third, 3),
                    (r.Status, r.From, r.To, r.Applied.Count)
                )
        );
        Assert.All(
            second,
            r =>
                Assert.Equal(
                    (TenantMigrationStatus.UpToDate, LedgerContext.Third, 0),
                    (r.Status, r.To, r.Applied.Count)
                )
        );
        Assert.Equal(["acme", "globex"], first.Select(r => r.Slug));
        foreach (var tenant in tenants)
        {
            Assert.Equal(101, await app.DirectAsync("db1", $"SELECT n FROM {tenant.Schema.Quoted}.runs"));
            Assert.Equal(
                3L,
                await app.DirectAsync("db1", $"SELECT count(*) FROM {tenant.Schema.Quoted}.\"__EFMigrationsHistory\"")
            );
            Assert.Equal(
                LedgerContext.Third,
                await app.AdminAsync($"SELECT schema_version FROM admin.tenants WHERE slug = '{tenant.Slug}'")
            );
        }

        Assert.Equal(
            0L,
            await app.DirectAsync("db1", "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        );
    }

    [Fact]
    public async Task One_tenant_that_fails_is_left_as_it_was_and_does_not_stop_the_others()
    {
        await using var app = await StartAsync();
        await app.AdoptAsync("acme", "bad-one", "globex");

        var results = await app.MigrateAllAsync();

        Assert.Equal(
            [TenantMigrationStatus.Migrated, TenantMigrationStatus.Failed, TenantMigrationStatus.Migrated],
            results.Select(r => r.Status)
        );
        Assert.Equal("this schema is bad", Assert.IsType<PostgresException>(results[1].Error).MessageText);
        Assert.Equal(DBNull.Value, await app.DirectAsync("db1", "SELECT to_regclass('\"tenant_bad-one\".runs')::text"));
        await Assert.ThrowsAsync<PostgresException>(() => app.Migrator.MigrateAsync(results[1].TenantId, Ct));
    }

    [Fact]
    public async Task Many_runners_of_the_same_schemas_do_each_migration_once()
    {
        await using var app = await StartAsync();
        var tenants = await app.AdoptAsync([.. Enumerable.Range(0, 8).Select(i => $"t{i:00}")]);

        var runs = await Task.WhenAll(
            Enumerable
                .Range(0, 6)
                .Select(_ => Task.Run(() => app.MigrateAllAsync(new() { Parallelism = 8, ParallelismPerServer = 8 })))
        );

        Assert.All(runs.SelectMany(r => r), r => Assert.Null(r.Error));
        Assert.Equal(tenants.Count, runs.SelectMany(r => r).Count(r => r.Status == TenantMigrationStatus.Migrated));
        foreach (var tenant in tenants)
        {
            Assert.Equal(101, await app.DirectAsync("db1", $"SELECT n FROM {tenant.Schema.Quoted}.runs"));
        }
    }

    [Fact]
    public async Task A_tenant_whose_schema_is_missing_is_refused_before_the_first_statement()
    {
        await using var app = await StartAsync();
        var tenant = (await app.AdoptAsync("acme"))[0];
        await app.DirectAsync("db1", "DROP SCHEMA tenant_acme");

        await Assert.ThrowsAsync<TenantIsolationException>(() => app.Migrator.MigrateAsync(tenant.Id, Ct));

        Assert.Equal(
            0L,
            await app.DirectAsync(
                "db1",
                "SELECT count(*) FROM pg_class WHERE relname IN ('runs', '__EFMigrationsHistory')"
            )
        );
    }

    [Fact]
    public async Task A_history_in_public_is_not_taken_for_the_tenants()
    {
        await using var app = await StartAsync();
        var tenant = (await app.AdoptAsync("acme"))[0];
        await app.DirectAsync(
            "db1",
            "CREATE TABLE public.\"__EFMigrationsHistory\" (\"MigrationId\" varchar(150) PRIMARY KEY, \"ProductVersion\" varchar(32)); "
                + $"INSERT INTO public.\"__EFMigrationsHistory\" VALUES ('{LedgerContext.First}', 'x')"
        );

        var result = await app.Migrator.MigrateAsync(tenant.Id, Ct);

        Assert.Equal(3, result.Applied.Count);
        Assert.Equal(1L, await app.DirectAsync("db1", "SELECT count(*) FROM public.\"__EFMigrationsHistory\""));
    }

    [Fact]
    public async Task A_schema_that_a_newer_version_has_migrated_is_left_alone()
    {
        await using var app = await StartAsync();
        var tenant = (await app.AdoptAsync("acme"))[0];
        await app.Migrator.MigrateAsync(tenant.Id, Ct);
        await app.DirectAsync(
            "db1",
            "INSERT INTO tenant_acme.\"__EFMigrationsHistory\" VALUES ('20990101000000_Newer', '99')"
        );

        var result = await app.Migrator.MigrateAsync(tenant.Id, Ct);

        Assert.Equal(
            (TenantMigrationStatus.Ahead, "20990101000000_Newer", 0),
            (result.Status, result.To, result.Applied.Count)
        );
        Assert.Equal(101, await app.DirectAsync("db1", "SELECT n FROM tenant_acme.runs"));
    }

    [Fact]
    public async Task A_cancelled_run_leaves_every_schema_whole_and_goes_on_when_run_again()
    {
        await using var app = await StartAsync();
        var tenants = await app.AdoptAsync([.. Enumerable.Range(0, 12).Select(i => $"t{i:00}")]);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            app.Migrator.MigrateAllAsync(
                new() { Parallelism = 2 },
                new MigrationReports(p =>
                {
                    if (p.Tenant is not null)
                        cancel.Cancel();
                }),
                cancel.Token
            )
        );

        var done = 0;
        foreach (var tenant in tenants)
        {
            var runs = await app.DirectAsync("db1", $"SELECT to_regclass('{tenant.Schema.Quoted}.runs')::text");
            done += runs is DBNull ? 0 : 1;
            if (runs is not DBNull)
            {
                Assert.Equal(101, await app.DirectAsync("db1", $"SELECT n FROM {tenant.Schema.Quoted}.runs"));
            }
        }

        Assert.InRange(done, 1, tenants.Count - 1);
        Assert.Equal(
            0L,
            await app.AdminAsync(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        );
        var rest = await app.MigrateAllAsync();
        Assert.Equal(tenants.Count - done, rest.Count(r => r.Status == TenantMigrationStatus.Migrated));
        Assert.All(rest, r => Assert.Equal(LedgerContext.Third, r.To));
    }

    [Fact]
    public async Task A_migration_that_suppresses_its_transaction_runs_outside_of_one()
    {
        await using var app = await StartAsync<IndexedContext>();
        var tenant = (await app.AdoptAsync("acme"))[0];

        var result = await app.Migrator.MigrateAsync(tenant.Id, Ct);

        Assert.Equal(2, result.Applied.Count);
        Assert.Equal(
            true,
            await app.DirectAsync(
                "db1",
                "SELECT indisvalid FROM pg_index WHERE indexrelid = 'tenant_acme.ix_things_n'::regclass"
            )
        );
    }

    [Fact]
    public async Task Changes_of_the_model_that_no_migration_holds_are_refused_for_all_tenants_at_once()
    {
        await using var app = await StartAsync<ForgottenContext>();
        await app.AdoptAsync("acme");

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => app.Migrator.MigrateAllAsync(ct: Ct));

        Assert.Contains("dotnet ef migrations add", refused.Message);
        Assert.Contains(nameof(ForgottenContext), refused.Message);
    }

    [Fact]
    public async Task Only_active_and_suspended_tenants_are_migrated()
    {
        await using var app = await StartAsync();
        var tenants = await app.AdoptAsync("acme", "archived", "half", "suspended");
        await app.AdminAsync("UPDATE admin.tenants SET status = slug WHERE slug IN ('archived', 'suspended')");
        await app.AdminAsync("UPDATE admin.tenants SET status = 'provisioning' WHERE slug = 'half'");
        await app.ReloadAsync();

        var results = await app.MigrateAllAsync();

        Assert.Equal(["acme", "suspended"], results.Select(r => r.Slug));
        await Assert.ThrowsAsync<TenantUnavailableException>(() => app.Migrator.MigrateAsync(tenants[1].Id, Ct));
        await Assert.ThrowsAsync<TenantNotFoundException>(() => app.Migrator.MigrateAsync(TenantId.New(), Ct));
    }

    private Task<TestApp> StartAsync() => StartAsync<LedgerContext>();

    private Task<TestApp> StartAsync<TContext>()
        where TContext : DbContext =>
        TestApp.StartAsync(servers.Postgres, configure: b => b.AddTenantDbContext<TContext>());
}
