using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using NeoCommons.EfCore.Admin.Tests.Secrets.Leaks;
using NeoCommons.EfCore.Admin.Tests.TenantMigrations;

namespace NeoCommons.EfCore.Admin.Tests.Commands;

public sealed class FleetCommandTests(TestServers servers)
{
    private const string Waiting = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'warm\\_%'";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task All_tenants_are_planned_migrated_and_reported()
    {
        await using var app = await StartAsync("acme", "globex");

        var planned = await CommandLine.Of(app).RunAsync("tenants", "migrate", "--all", "--dry-run", "--json");
        Assert.Equal(
            ["acme", "globex"],
            planned.IsOk().Json.GetProperty("tenants").EnumerateArray().Select(t => t.GetProperty("slug").GetString())
        );
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.migration_runs"));

        var ran = await CommandLine.Of(app).RunAsync("tenants", "migrate", "--all", "--json");
        Assert.Equal("completed", ran.IsOk().Json.GetProperty("status").GetString());
        Assert.Equal(2, ran.Json.GetProperty("done").GetInt32());

        var status = await CommandLine.Of(app).RunAsync("tenants", "status");
        Assert.Contains("2: 2 done, 0 failed", status.IsOk().Out, StringComparison.Ordinal);
        var again = await CommandLine.Of(app).RunAsync("tenants", "migrate", "--all");
        Assert.Contains("Nothing to do", again.IsOk().Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failure_is_told_while_it_runs_and_at_the_end_and_in_the_exit_code()
    {
        await using var app = await StartAsync("acme", "bad-one");

        var ran = await CommandLine.Of(app).RunAsync("tenants", "migrate", "--all");

        Assert.Equal(1, ran.Code);
        Assert.Contains(
            "bad-one: 20260103000000_FailInBadSchemas: P0001: this schema is bad",
            ran.Errors,
            StringComparison.Ordinal
        );
        Assert.Contains("2: 1 done, 1 failed", ran.Out, StringComparison.Ordinal);
        Assert.Contains("this schema is bad", ran.Out, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', ran.Out + ran.Errors);
        (await CommandLine.Of(app).RunAsync("tenants", "migrate", "bad-one")).Failed(
            1,
            "Migration 20260103000000_FailInBadSchemas: P0001: this schema is bad"
        );
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_stack_trace_of_a_failed_tenant_is_for_who_asks_for_it(bool verbose)
    {
        using var log = new LogRecorder();
        await using var app = await StartAsync(["acme", "bad-one"], log);

        var ran = await CommandLine.Of(app).RunAsync(["tenants", "migrate", "--all", .. Verbose(verbose)]);

        Assert.Equal(1, ran.Code);
        Assert.Single(ran.Errors.Split('\n'), line => line.Contains("bad-one", StringComparison.Ordinal));
        Assert.Equal(verbose, log.Lines.Any(line => line.Contains("   at ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task The_status_tells_how_a_run_ended_in_the_exit_code_too()
    {
        await using var app = await StartAsync("acme", "bad-one");

        var none = await CommandLine.Of(app).RunAsync("tenants", "status");
        var document = await CommandLine.Of(app).RunAsync("tenants", "status", "--json");
        await CommandLine.Of(app).RunAsync("tenants", "migrate", "--all");
        var failed = await CommandLine.Of(app).RunAsync("tenants", "status", "--json");

        Assert.Contains("tenants migrate --all", none.IsOk().Out, StringComparison.Ordinal);
        Assert.Equal("none", document.IsOk().Json.GetProperty("status").GetString());
        Assert.Equal((1, "failed"), (failed.Code, failed.Json.GetProperty("status").GetString()));
        (await CommandLine.Of(app).RunAsync("tenants", "status", "--run", Guid.NewGuid().ToString())).Failed(
            3,
            "There is no run"
        );
    }

    [Fact]
    public async Task Canaries_and_a_budget_stop_the_run()
    {
        await using var app = await StartAsync("acme", "bad-one", "globex");
        var stopped = await CommandLine
            .Of(app)
            .RunAsync(
                "tenants",
                "migrate",
                "--all",
                "--canary",
                "bad-one",
                "--rings",
                "50",
                "--error-budget",
                "0",
                "--json"
            );
        Assert.Equal(1, stopped.Code);
        Assert.Equal("stopped", stopped.Json.GetProperty("status").GetString());
        Assert.Equal(2, stopped.Json.GetProperty("pending").GetInt32());
    }

    [Fact]
    public async Task One_tenant_is_migrated()
    {
        await using var app = await StartAsync("acme", "globex");
        var one = await CommandLine.Of(app).RunAsync("tenants", "migrate", "acme");
        Assert.Contains("3 migrations", one.IsOk().Out, StringComparison.Ordinal);
        Assert.Equal(1L, await app.DirectAsync("db1", "SELECT count(*) FROM pg_class WHERE relname = 'runs'"));
        Assert.Contains(
            "up to date",
            (await CommandLine.Of(app).RunAsync("tenants", "migrate", "acme")).IsOk().Out,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task A_line_that_names_nothing_or_both_is_refused()
    {
        await using var app = await StartAsync("acme");
        (await CommandLine.Of(app).RunAsync("tenants", "migrate")).Failed(2, "--all");
        (await CommandLine.Of(app).RunAsync("tenants", "migrate", "acme", "--all")).Failed(2, "--all");
        (await CommandLine.Of(app).RunAsync("tenants", "migrate", "nobody")).Failed(3, "nobody");
        (await CommandLine.Of(app).RunAsync("tenants", "migrate", "acme", "--canary", "x", "--rings", "5")).Failed(
            2,
            "--canary, --rings: for all tenants only"
        );
        (await CommandLine.Of(app).RunAsync("tenants", "migrate", "acme", "--lock-timeout", "5")).Failed(
            2,
            "--lock-timeout"
        );
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.migration_runs"));
    }

    [Fact]
    public async Task A_tenant_goes_through_its_life()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");

        Assert.Equal("suspended", await StatusAsync("suspend", "acme", "--reason", "unpaid"));
        Assert.Equal("active", await StatusAsync("resume", "acme"));
        (await CommandLine.Of(app).RunAsync("tenants", "rename", "acme")).Failed(2, "--slug");
        var renamed = await CommandLine
            .Of(app)
            .RunAsync("tenants", "rename", "acme", "--slug", "apex", "--name", "Apex", "--schema", "--json");
        Assert.Equal("tenant_apex", renamed.IsOk().Json.GetProperty("schema").GetString());
        Assert.Equal("archived", await StatusAsync("archive", "apex", "--retention-days", "0"));
        Assert.Equal("active", await StatusAsync("restore", "apex"));
        (await CommandLine.Of(app).RunAsync("tenants", "delete", "apex", "--confirm", "apex")).Failed(5, "is active");
        Assert.Equal("archived", await StatusAsync("archive", "apex", "--retention-days", "0"));
        var dry = await CommandLine.Of(app).RunAsync("tenants", "delete", "apex", "--confirm", "apex", "--dry-run");
        Assert.Contains("Nothing was changed", dry.IsOk().Out, StringComparison.Ordinal);
        (await CommandLine.Of(app).RunAsync("tenants", "delete", "apex", "--confirm", "apex")).IsOk();
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
        Assert.Equal(
            0L,
            await app.DirectAsync(
                "db1",
                "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenant\\_%' OR nspname LIKE 'archived%'"
            )
        );

        async Task<string?> StatusAsync(params string[] args) =>
            (await CommandLine.Of(app).RunAsync(["tenants", .. args, "--json"]))
                .IsOk()
                .Json.GetProperty("status")
                .GetString();
    }

    [Fact]
    public async Task Schemas_that_wait_are_shown_and_made()
    {
        await using var none = await TestApp.StartAsync(servers.Postgres);
        Assert.Contains("Size is 0", (await CommandLine.Of(none).RunAsync("tenants", "pool")).IsOk().Out);
        (await CommandLine.Of(none).RunAsync("tenants", "pool", "--refill", "db1")).Failed(
            6,
            "NeoCommons:WarmPool:Size"
        );

        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?>
            {
                ["NeoCommons:WarmPool:Size"] = "2",
                ["NeoCommons:WarmPool:Connections:0"] = "db1",
                ["NeoCommons:WarmPool:RefillInterval"] = "01:00:00",
            }
        );

        // The application's own refill may be at it; then this one leaves it to it.
        var count = 0;
        while (count < 2)
        {
            var pool = await CommandLine.Of(app).RunAsync("tenants", "pool", "--refill", "db1", "--json");
            count = pool.IsOk()
                .Json.GetProperty("waiting")
                .EnumerateArray()
                .Where(w => w.GetProperty("version").ValueKind != System.Text.Json.JsonValueKind.Null)
                .Sum(w => w.GetProperty("count").GetInt32());
        }

        Assert.Equal(2, count);
    }

    [Fact]
    public async Task Schemas_that_nobody_takes_any_more_are_shown_and_dropped()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");
        await WarmUpAsync(app);

        var shown = (await CommandLine.Of(app).RunAsync("tenants", "pool")).IsOk().Out;
        var dry = (await CommandLine.Of(app).RunAsync("tenants", "pool", "--clear", "db1", "--dry-run")).IsOk().Out;
        Assert.Equal(2L, await app.DirectAsync("db1", Waiting));
        var cleared = (await CommandLine.Of(app).RunAsync("tenants", "pool", "--clear", "db1")).IsOk().Out;
        (await CommandLine.Of(app).RunAsync("tenants", "pool", "--clear", "nope")).Failed(3, "'nope'");
        (await CommandLine.Of(app).RunAsync("tenants", "pool", "--clear", "db1", "--refill", "db1")).Failed(2, "both");

        Assert.Contains("--clear CONNECTION", shown, StringComparison.Ordinal);
        Assert.Contains("Nothing was changed", dry, StringComparison.Ordinal);
        Assert.Contains("Dropped 2 schemas", cleared, StringComparison.Ordinal);
        Assert.Equal(0L, await app.DirectAsync("db1", Waiting));
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.warm_schemas"));
        Assert.Equal("tenant_acme", await app.DirectAsync("db1", "SELECT to_regnamespace('tenant_acme')::text"));
    }

    /// <summary>What a process with a pool of two has left behind.</summary>
    private static async Task WarmUpAsync(TestApp app)
    {
        var options = app.Get<IOptions<WarmPoolOptions>>().Value;
        options.Size = 2;
        await app.Get<WarmSchemaStock>().RefillAsync("db1", Ct);
        options.Size = 0;
    }

    private static string[] Verbose(bool isVerbose) => isVerbose ? ["--verbose"] : [];

    private Task<TestApp> StartAsync(params string[] slugs) => StartAsync(slugs, log: null);

    private async Task<TestApp> StartAsync(string[] slugs, ILoggerProvider? log)
    {
        var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b =>
            {
                b.AddTenantDbContext<LedgerContext>();
                if (log is not null)
                {
                    b.Services.AddSingleton(log);
                }
            }
        );
        await app.AdoptAsync(slugs);
        return app;
    }
}
