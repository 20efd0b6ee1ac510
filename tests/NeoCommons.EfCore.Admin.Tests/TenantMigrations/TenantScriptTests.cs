using System.Diagnostics;
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
        await PsqlAsync(app, script);

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

        await PsqlAsync(app, await app.Migrator.GenerateScriptAsync(tenant.Id, Ct));

        Assert.Equal(true, await IsValidAsync(app));
        Assert.Equal(
            0L,
            await app.DirectAsync("db1", "SELECT count(*) FROM pg_index WHERE indrelid = 'public.things'::regclass")
        );
    }

    private Task<TestApp> StartAsync<TContext>()
        where TContext : DbContext =>
        TestApp.StartAsync(servers.Postgres, configure: b => b.AddTenantDbContext<TContext>());

    private static async Task<string> DatabaseAsync(TestApp app) =>
        (string)(await app.AdminAsync("SELECT database_name FROM admin.database_connections"))!;

    private static async Task PsqlAsync(TestApp app, string script)
    {
        var database = await DatabaseAsync(app);
        var start = new ProcessStartInfo(
            "psql",
            ["-h", app.Server.Host, "-p", $"{app.Server.Port}", "-U", app.Server.Username, "-q", database]
        )
        {
            RedirectStandardInput = true,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            Environment = { ["PGPASSWORD"] = app.Server.Password },
        };
        using var psql = Process.Start(start)!;
        await psql.StandardInput.WriteAsync(script.AsMemory(), Ct);
        psql.StandardInput.Close();
        var output = psql.StandardOutput.ReadToEndAsync(Ct);
        var errors = await psql.StandardError.ReadToEndAsync(Ct);
        await output;
        await psql.WaitForExitAsync(Ct);
        Assert.True(psql.ExitCode == 0, errors);
    }

    private static async Task<object?> IsValidAsync(TestApp app) =>
        await app.DirectAsync(
            "db1",
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('tenant_acme.ix_things_n')"
        );
}
