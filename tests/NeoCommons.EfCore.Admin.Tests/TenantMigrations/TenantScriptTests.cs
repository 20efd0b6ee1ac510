using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

public sealed class TenantScriptTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(typeof(LedgerContext))]
    [InlineData(typeof(IndexedContext))]
    public async Task A_script_does_what_the_migrator_would_do(Type context)
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b =>
                _ =
                    context == typeof(LedgerContext)
                        ? b.AddTenantDbContext<LedgerContext>()
                        : b.AddTenantDbContext<IndexedContext>()
        );
        var tenant = (await app.AdoptAsync("acme"))[0];

        var script = await app.Migrator.GenerateScriptAsync(tenant.Id, Ct);
        await Psql.RunAsync(app, script);

        Assert.Equal(TenantMigrationStatus.UpToDate, (await app.Migrator.MigrateAsync(tenant.Id, Ct)).Status);
        Assert.Contains("nothing is pending", await app.Migrator.GenerateScriptAsync(tenant.Id, Ct));
        Assert.Equal(
            0L,
            await app.DirectAsync("db1", "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        );
    }

    [Fact]
    public async Task A_script_that_begins_outside_of_a_transaction_leads_to_the_tenants_schema()
    {
        await using var app = await StartAsync<AddedIndexContext>();
        var tenant = (await app.AdoptAsync("acme"))[0];
        await app.DirectAsync("db1", "CREATE TABLE public.things (n int); CREATE TABLE tenant_acme.things (n int)");

        await Psql.RunAsync(app, await app.Migrator.GenerateScriptAsync(tenant.Id, Ct));

        Assert.Equal(true, await IsValidAsync(app));
        Assert.Equal(
            0L,
            await app.DirectAsync("db1", "SELECT count(*) FROM pg_index WHERE indrelid = 'public.things'::regclass")
        );
    }

    private Task<TestApp> StartAsync<TContext>()
        where TContext : DbContext =>
        TestApp.StartAsync(servers.Postgres, configure: b => b.AddTenantDbContext<TContext>());

    private static async Task<object?> IsValidAsync(TestApp app) =>
        await app.DirectAsync(
            "db1",
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('tenant_acme.ix_things_n')"
        );
}
