using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Provisioning;
using NeoCommons.EfCore.Admin.Tests.SharedTables;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

/// <summary>The doctor looks while others create, migrate and rename: it keeps nobody waiting, and takes no work for a fault.</summary>
public sealed class DoctorBesideOthersTests(TestServers servers)
{
    private const string Age =
        "ALTER TABLE admin.tenants DISABLE TRIGGER set_updated_at; UPDATE admin.tenants SET updated_at = now() - interval '1 day'";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_creation_is_interrupted_when_nobody_is_at_it_however_long_it_takes()
    {
        var script = new ShopSeeder.Script();
        await using var app = await Homes.StartAsync(
            servers,
            inAdminDatabase: false,
            b =>
            {
                b.AddTenantDbContext<ShopDbContext>().AddTenantSeeder<ShopSeeder>();
                b.Services.AddSingleton(script);
            }
        );
        var seeding = new TaskCompletionSource();
        var never = new TaskCompletionSource();
        script.Then = () =>
        {
            seeding.SetResult();
            return never.Task;
        };
        var creation = app.CreateTenantAsync("acme", "home");
        await seeding.Task.WaitAsync(TimeSpan.FromSeconds(60), Ct);
        await app.AdminAsync(Age);

        Assert.Empty(await ExamineAsync(app, mend: true));

        // It dies, and is interrupted at once.
        const string Die =
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid() "
            + "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        await app.AdminAsync("UPDATE admin.tenants SET updated_at = now(); " + Die);
        await app.DirectAsync("home", Die);
        var found = Assert.Single(await ExamineAsync(app));
        Assert.Equal((TenantFindingKind.HalfMade, "acme"), (found.Kind, found.Slug));
        never.SetException(new InvalidTimeZoneException("late"));
        await Assert.ThrowsAsync<InvalidTimeZoneException>(() => creation);
    }

    [Fact]
    public async Task What_is_under_way_between_two_databases_is_no_fault()
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false);
        var acme = await app.CreateTenantAsync("acme", "home");
        await app.AdminAsync(
            """
            CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON admin.tenant_events DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION hold()
            """
        );
        await using var holder = new NpgsqlConnection(app.AdminConnectionString + ";Pooling=false");
        await holder.OpenAsync(Ct);
        await using (var hold = new NpgsqlCommand("SELECT pg_advisory_lock(77)", holder))
        {
            await hold.ExecuteNonQueryAsync(Ct);
        }

        // The schema is renamed, and the row does not say so yet.
        var archiving = Task.Run(() => app.Provisioner.ArchiveAsync(acme.Id, ct: Ct), Ct);
        while (await app.DirectAsync("home", "SELECT to_regnamespace('tenant_acme')::text") is not DBNull)
        {
            await Task.Delay(20, Ct);
        }

        Assert.Empty(await ExamineAsync(app));

        // It dies there: the schema is the tenant's still, and no orphan.
        await app.AdminAsync(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
        );
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => archiving);
        var found = Assert.Single(await ExamineAsync(app, mend: true));
        Assert.Equal((TenantFindingKind.MissingSchema, "acme"), (found.Kind, found.Slug));
        Assert.Contains("Repeat the command", found.Remedy);
        await holder.CloseAsync();
        await app.Provisioner.ArchiveAsync(acme.Id, ct: Ct);
        Assert.Empty(await ExamineAsync(app));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Creations_and_a_run_go_on_beside_it_and_nothing_is_found(bool inAdminDatabase)
    {
        await using var app = await Homes.StartAsync(
            servers,
            inAdminDatabase,
            b =>
                b.AddSharedDbContext<CountriesContext>()
                    .AddTenantDbContext<BranchesContext>()
                    .AddTenantDbContext<LedgerContext>(o => o.UseNpgsql(n => n.MigrationsHistoryTable("__ledger")))
        );
        await app.CreateTenantAsync("acme", "home");
        await app.AdoptManyAsync(30, "home");

        var migrating = Task.Run(() => app.MigrateAllAsync(new() { Parallelism = 2, ParallelismPerServer = 2 }), Ct);
        while (
            (long)(await app.AdminAsync("SELECT count(*) FROM admin.tenant_migrations WHERE state = 'running'"))! == 0
        )
        {
            Assert.False(migrating.IsCompleted);
            await Task.Delay(5, Ct);
        }

        var creating = Task.Run(
            () =>
                Parallel.ForEachAsync(
                    Enumerable.Range(0, 12),
                    new ParallelOptions { MaxDegreeOfParallelism = 2 },
                    async (i, _) => await app.CreateTenantAsync($"new{i}", "home")
                ),
            Ct
        );
        do
        {
            Assert.Empty(await ExamineAsync(app));
        } while (!migrating.IsCompleted || !creating.IsCompleted);

        Assert.All(await migrating, r => Assert.Null(r.Error));
        await creating;
        Assert.Empty(await ExamineAsync(app));
    }

    [Fact]
    public async Task A_lock_that_is_not_to_be_had_is_told_and_not_waited_for()
    {
        await using var app = await Homes.StartAsync(
            servers,
            inAdminDatabase: false,
            b => b.AddSharedDbContext<CountriesContext>().AddTenantDbContext<BranchesContext>()
        );
        await app.CreateTenantAsync("acme", "home");
        var database = (string)(await app.AdminAsync("SELECT database_name FROM admin.database_connections"))!;
        await using var holder = new NpgsqlConnection(
            servers.Postgres.GetConnectionString(database) + ";Pooling=false"
        );
        await holder.OpenAsync(Ct);
        await using var transaction = await holder.BeginTransactionAsync(Ct);
        await using (var hold = new NpgsqlCommand("LOCK TABLE shared.\"Countries\" IN ROW EXCLUSIVE MODE", holder))
        {
            await hold.ExecuteNonQueryAsync(Ct);
        }

        var found = Assert.Single(await ExamineAsync(app));

        Assert.Equal((TenantFindingKind.Unreachable, "acme"), (found.Kind, found.Slug));
        Assert.Contains("lock timeout", found.Message);
        await transaction.RollbackAsync(Ct);
        Assert.Empty(await ExamineAsync(app));
    }

    private static async Task<List<TenantFinding>> ExamineAsync(TestApp app, bool mend = false)
    {
        var found = new List<TenantFinding>();
        await foreach (var finding in app.Get<ITenantDoctor>().ExamineAsync(new() { Mend = mend }, Ct))
        {
            found.Add(finding);
        }

        return found;
    }
}
