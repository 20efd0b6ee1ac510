using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.TenantMigrations;

namespace NeoCommons.EfCore.Admin.Tests.Commands;

/// <summary>Commands that change one tenant: what a dry run foresees is what the command then does.</summary>
public sealed class TenantChangeCommandTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("suspend")]
    [InlineData("rename", "--slug", "apex")]
    [InlineData("rename", "--slug", "apex", "--name", "Apex", "--schema")]
    [InlineData("archive", "--retention-days", "3")]
    public async Task A_dry_run_foresees_what_becomes_of_the_tenant(string change, params string[] options)
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var acme = await app.CreateTenantAsync("acme");

        string[] line = ["tenants", change, acme.Id.ToString(), .. options, "--json"];
        var dry = (await CommandLine.Of(app).RunAsync([.. line, "--dry-run"])).IsOk().Json;
        Assert.Equal("acme", dry.GetProperty("tenant").GetProperty("slug").GetString());
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.tenant_events"));
        var done = (await CommandLine.Of(app).RunAsync(line)).IsOk().Json;

        foreach (var foreseen in dry.GetProperty("after").EnumerateObject())
        {
            Assert.Equal(done.GetProperty(foreseen.Name).ToString(), foreseen.Value.ToString());
        }
    }

    [Fact]
    public async Task A_dry_run_foresees_a_restoration()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var acme = await app.CreateTenantAsync("acme");
        await app.Provisioner.SuspendAsync(acme.Id, ct: Ct);
        await app.Provisioner.ArchiveAsync(acme.Id, ct: Ct);

        var dry = await CommandLine.Of(app).RunAsync("tenants", "restore", "acme", "--dry-run", "--json");

        var after = dry.IsOk().Json.GetProperty("after");
        Assert.Equal("suspended", after.GetProperty("status").GetString());
        Assert.Equal("tenant_acme", after.GetProperty("schema").GetString());
        (await CommandLine.Of(app).RunAsync("tenants", "suspend", "acme", "--dry-run")).Failed(5, "Restore it first");
    }

    [Fact]
    public async Task A_dry_run_of_a_rename_finds_the_slug_taken()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");
        await app.CreateTenantAsync("globex");

        (await CommandLine.Of(app).RunAsync("tenants", "rename", "acme", "--slug", "globex", "--dry-run")).Failed(
            5,
            "Slug 'globex' is taken"
        );
        (await CommandLine.Of(app).RunAsync("tenants", "rename", "acme", "--slug", "Bad!", "--dry-run")).Failed(
            2,
            "slug"
        );
    }

    [Theory]
    [InlineData("rename", "tenant_apex")]
    [InlineData("archive", "archived_acme")]
    [InlineData("restore", "tenant_acme")]
    public async Task A_dry_run_finds_a_schema_that_stands_in_the_way(string change, string name)
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var acme = await app.CreateTenantAsync("acme");
        if (change == "restore")
        {
            await app.Provisioner.ArchiveAsync(acme.Id, ct: Ct);
        }

        var schema = change == "archive" ? $"{name}_{acme.Id.ToString()[^12..]}" : name;
        await app.DirectAsync("db1", $"CREATE SCHEMA {schema}");
        string[] line =
        [
            "tenants",
            change,
            "acme",
            .. change == "rename" ? new[] { "--slug", "apex", "--schema" } : [],
            "--dry-run",
        ];

        (await CommandLine.Of(app).RunAsync(line)).Failed(5, $"Schema '{schema}' exists already");
        await app.DirectAsync("db1", $"DROP SCHEMA {schema}");
        (await CommandLine.Of(app).RunAsync(line)).IsOk();
    }

    [Fact]
    public async Task A_dry_run_finds_the_tenants_own_schema_missing()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");
        await app.DirectAsync("db1", "ALTER SCHEMA tenant_acme RENAME TO gone; COMMENT ON SCHEMA gone IS NULL");

        (await CommandLine.Of(app).RunAsync("tenants", "rename", "acme", "--schema", "--dry-run")).Failed(
            1,
            "has no schema 'tenant_acme'"
        );
    }

    [Fact]
    public async Task A_dry_run_of_a_deletion_tells_of_export_and_force()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var acme = await app.CreateTenantAsync("acme");
        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.FromDays(30), ct: Ct);
        string[] line = ["tenants", "delete", "acme", "--confirm", "acme", "--dry-run"];
        var file = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

        (await CommandLine.Of(app).RunAsync(line)).Failed(5, "--force");
        var forced = (await CommandLine.Of(app).RunAsync([.. line, "--force", "--export", file])).IsOk().Out;
        var bare = (await CommandLine.Of(app).RunAsync([.. line, "--force"])).IsOk().Out;
        (await CommandLine.Of(app).RunAsync([.. line, "--force", "--export", Path.GetTempPath()])).Failed(
            2,
            "which exists"
        );

        Assert.Contains("pg_dump would write schema 'archived_acme", forced, StringComparison.Ordinal);
        Assert.Contains(file, forced, StringComparison.Ordinal);
        Assert.Contains("because of --force", forced, StringComparison.Ordinal);
        Assert.Contains("--export", bare, StringComparison.Ordinal);
        Assert.False(File.Exists(file));
        var schema = await app.AdminAsync("SELECT schema_name FROM admin.tenants");
        await app.DirectAsync("db1", $"CREATE VIEW public.report AS SELECT * FROM {schema}.\"Products\"");
        (await CommandLine.Of(app).RunAsync([.. line, "--force"])).Failed(1, "--drop-dependants");
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
    }

    [Fact]
    public async Task A_tenant_is_shown_with_what_became_of_it_and_why()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");

        Assert.Contains("created 2", await ShowAsync(), StringComparison.Ordinal);
        await RunAsync("suspend", "acme", "--reason", "unpaid");
        Assert.Matches("Last change +suspended .* by .*: unpaid", await ShowAsync());
        await app.AdminAsync("UPDATE admin.tenants SET status = 'active'");
        await app.ReloadAsync();
        Assert.DoesNotContain("unpaid", await ShowAsync(), StringComparison.Ordinal);
        var archived = await RunAsync("archive", "acme", "--retention-days", "3", "--reason", "left");
        Assert.Matches("Kept until +2", archived);
        Assert.Matches("Last change +archived .*: left", await ShowAsync());

        Task<string> ShowAsync() => RunAsync("show", "acme");
        async Task<string> RunAsync(params string[] args) =>
            (await CommandLine.Of(app).RunAsync(["tenants", .. args])).IsOk().Out;
    }

    [Fact]
    public async Task A_tenant_that_failed_is_shown_with_the_reason_until_it_is_migrated()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<LedgerContext>()
        );
        await app.AdoptAsync("bad-one");
        await CommandLine.Of(app).RunAsync("tenants", "migrate", "--all");

        var failed = (await CommandLine.Of(app).RunAsync("tenants", "show", "bad-one")).IsOk().Out;
        await app.AdminAsync("UPDATE admin.tenants SET schema_version = '20991231000000_Mended'");
        await app.ReloadAsync();
        var mended = (await CommandLine.Of(app).RunAsync("tenants", "show", "bad-one", "--json")).IsOk();

        Assert.Matches("Migration failed +20260103000000_FailInBadSchemas: P0001: this schema is bad", failed);
        Assert.Equal(
            System.Text.Json.JsonValueKind.Null,
            mended.Json.GetProperty("past").GetProperty("migrationError").ValueKind
        );
    }
}
