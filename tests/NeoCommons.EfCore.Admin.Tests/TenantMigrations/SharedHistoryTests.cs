using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

public sealed class SharedHistoryTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Two_contexts_share_one_history()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<NotesContext>().AddTenantDbContext<TagsContext>()
        );
        var acme = await app.CreateTenantAsync("acme");
        Assert.Equal(TenantMigrationStatus.UpToDate, (await app.Migrator.MigrateAsync(acme.Id, Ct)).Status);
    }

    [Fact]
    public async Task A_failure_in_the_second_context_leaves_the_schema_as_it_was()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b =>
                b.AddTenantDbContext<NotesContext>(o => o.UseNpgsql(n => n.MigrationsHistoryTable("h1")))
                    .AddTenantDbContext<FailingContext>(o => o.UseNpgsql(n => n.MigrationsHistoryTable("h2")))
        );
        await app.AdoptAsync("acme");
        Assert.Equal(TenantMigrationStatus.Failed, Assert.Single(await app.MigrateAllAsync()).Status);
        Assert.Equal(
            DBNull.Value,
            await app.DirectAsync(
                "db1",
                "SELECT string_agg(relname, ' ') FROM pg_class WHERE relnamespace = 'tenant_acme'::regnamespace AND relkind = 'r'"
            )
        );
    }

    [Fact]
    public async Task Old_migrations_that_were_squashed_away_do_not_stop_later_ones()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<NotesContext>()
        );
        await app.DirectAsync(
            "db1",
            "CREATE SCHEMA tenant_acme CREATE TABLE \"__EFMigrationsHistory\" (\"MigrationId\" varchar(150) PRIMARY KEY, \"ProductVersion\" varchar(32) NOT NULL)"
        );
        await app.DirectAsync(
            "db1",
            "INSERT INTO tenant_acme.\"__EFMigrationsHistory\" VALUES ('20200101000000_Squashed', '8.0.0')"
        );
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) SELECT 'acme', 'a', 'tenant_acme', id FROM admin.database_connections"
        );
        Assert.Equal(TenantMigrationStatus.Migrated, Assert.Single(await app.MigrateAllAsync()).Status);
    }

    [Fact]
    public async Task The_same_id_twice_in_one_history_is_refused()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<NotesContext>().AddTenantDbContext<TwinContext>()
        );
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => app.CreateTenantAsync("acme"));
        Assert.Contains(nameof(NotesContext), refused.Message);
        Assert.Contains(nameof(TwinContext), refused.Message);
        Assert.Contains("MigrationsHistoryTable", refused.Message);
    }
}
