using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.TenantMigrations;

namespace NeoCommons.EfCore.Admin.Tests.Commands;

public sealed class TenantCommandTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_tenant_is_created_shown_and_listed()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);

        var created = await CommandLine
            .Of(app)
            .RunAsync("tenants", "create", "acme", "--connection", "db1", "--name", "Acme Inc.", "--json");
        var shown = await CommandLine.Of(app).RunAsync("tenants", "show", "acme");
        var listed = await CommandLine.Of(app).RunAsync("tenants", "list", "--json");

        var id = created.IsOk().Json.GetProperty("id").GetGuid();
        Assert.Equal("active", created.Json.GetProperty("status").GetString());
        Assert.Equal("tenant_acme", created.Json.GetProperty("schema").GetString());
        Assert.Contains("Acme Inc.", shown.IsOk().Out, StringComparison.Ordinal);
        Assert.Equal(shown.Out, (await CommandLine.Of(app).RunAsync("tenants", "show", id.ToString())).IsOk().Out);
        Assert.Equal("acme", Assert.Single(listed.IsOk().Json.EnumerateArray()).GetProperty("slug").GetString());
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Empty(await shop.Products.ToListAsync(Ct));
    }

    [Fact]
    public async Task A_dry_run_checks_and_creates_nothing()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");

        var fine = await CommandLine
            .Of(app)
            .RunAsync("tenants", "create", "globex", "--connection", "db1", "--dry-run");
        var taken = await CommandLine.Of(app).RunAsync("tenants", "create", "acme", "--connection", "db1", "--dry-run");

        Assert.Contains("Nothing was changed", fine.IsOk().Out, StringComparison.Ordinal);
        taken.Failed(5, "taken");
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
        Assert.Equal(DBNull.Value, await app.DirectAsync("db1", "SELECT to_regnamespace('tenant_globex')::text"));
    }

    [Fact]
    public async Task A_tenant_is_created_from_the_template_that_a_command_makes()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        string[] create = ["tenants", "create", "acme", "--connection", "db1", "--from-template"];

        (await CommandLine.Of(app).RunAsync(create)).Failed(5, "'tenants template'");
        (await CommandLine.Of(app).RunAsync([.. create, "--dry-run"])).Failed(5, "'tenants template'");
        (await CommandLine.Of(app).RunAsync("tenants", "template", "nope")).Failed(3, "'nope'");
        (await CommandLine.Of(app).RunAsync("tenants", "create", "acme", "--copy-rows")).Failed(2, "--from-template");
        var dry = await CommandLine.Of(app).RunAsync("tenants", "template", "db1", "--dry-run", "--json");
        Assert.Equal(DBNull.Value, await app.DirectAsync("db1", "SELECT to_regnamespace('tenant_template')::text"));
        var made = await CommandLine.Of(app).RunAsync("tenants", "template", "db1", "--json");
        var again = await CommandLine.Of(app).RunAsync("tenants", "template", "db1");
        await app.DirectAsync("db1", "INSERT INTO tenant_template.\"Products\" VALUES (1, 's', 'given', 1)");
        (await CommandLine.Of(app).RunAsync([.. create, "--dry-run"])).IsOk();
        (await CommandLine.Of(app).RunAsync([.. create, "--copy-rows"])).IsOk();

        Assert.Equal(
            dry.IsOk().Json.GetProperty("pending").GetRawText(),
            made.IsOk().Json.GetProperty("applied").GetRawText()
        );
        Assert.Contains("up to date", again.IsOk().Out, StringComparison.Ordinal);
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Equal("given", (await shop.Products.SingleAsync(Ct)).Name);
    }

    [Theory]
    [InlineData(5, "taken", "acme", "db1")]
    [InlineData(3, "nowhere", "globex", "nowhere")]
    [InlineData(2, "slug", "GLOBEX!", "db1")]
    public async Task What_stands_in_the_way_is_named(int code, string part, string slug, string connection)
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");

        (await CommandLine.Of(app).RunAsync("tenants", "create", slug, "--connection", connection)).Failed(code, part);
    }

    [Fact]
    public async Task Lists_are_narrowed()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await app.CreateTenantAsync("acme");
        await app.CreateTenantAsync("globex", "db2");
        await app.AdminAsync(
            "UPDATE admin.tenants SET status = 'suspended', tenant_type = 'clinic' WHERE slug = 'acme'"
        );

        Assert.Equal(["acme"], await SlugsAsync("--status", "suspended"));
        Assert.Equal(["globex"], await SlugsAsync("--connection", "db2"));
        Assert.Equal(["acme"], await SlugsAsync("--type", "clinic"));
        Assert.Empty(await SlugsAsync("--type", "clinic", "--connection", "db2"));
        var none = await CommandLine.Of(app).RunAsync("tenants", "list", "--type", "none");
        Assert.Contains("There is no such tenant.", none.IsOk().Out, StringComparison.Ordinal);
        (await CommandLine.Of(app).RunAsync("tenants", "list", "--connection", "nope")).Failed(3, "'nope'");

        async Task<string?[]> SlugsAsync(params string[] options)
        {
            var run = await CommandLine.Of(app).RunAsync(["tenants", "list", "--json", .. options]);
            return [.. run.IsOk().Json.EnumerateArray().Select(t => t.GetProperty("slug").GetString())];
        }
    }

    [Fact]
    public async Task A_script_does_what_the_migrator_would_do()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<LedgerContext>()
        );
        await app.DirectAsync("db1", "CREATE SCHEMA tenant_acme");
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) SELECT 'acme', 'a', 'tenant_acme', id FROM admin.database_connections"
        );

        var script = (await CommandLine.Of(app).RunAsync("tenants", "script", "acme", "--json")).IsOk().Json;
        var sql = script.GetProperty("sql").GetString()!;
        Assert.Equal(3, script.GetProperty("migrations").GetArrayLength());
        await app.DirectAsync("db1", sql.Replace("\\set ON_ERROR_STOP on", "", StringComparison.Ordinal));

        var tenant = (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!;
        Assert.Equal(TenantMigrationStatus.UpToDate, (await app.Migrator.MigrateAsync(tenant.Id, Ct)).Status);
        Assert.Equal(101, await app.DirectAsync("db1", "SELECT n FROM tenant_acme.runs"));
        Assert.Contains(
            "nothing is pending",
            (await CommandLine.Of(app).RunAsync("tenants", "script", "acme")).IsOk().Out,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "3 migrations",
            (await CommandLine.Of(app).RunAsync("tenants", "script", "acme", "--all")).IsOk().Out,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task A_script_leaves_its_transaction_for_what_cannot_run_in_one()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<IndexedContext>()
        );
        await app.CreateTenantAsync("acme");

        var sql = (await CommandLine.Of(app).RunAsync("tenants", "script", "acme", "--all")).IsOk().Out;

        var index = sql.IndexOf("CREATE INDEX CONCURRENTLY", StringComparison.Ordinal);
        var before = sql[..index].TrimEnd().Split('\n').Select(line => line.Trim()).ToArray();
        Assert.Equal("COMMIT;", before[^3]);
        Assert.StartsWith("SET search_path = \"tenant_acme\"", before[^2], StringComparison.Ordinal);
        Assert.Contains("current_schema()", before[^1], StringComparison.Ordinal);
        Assert.EndsWith("COMMIT;", sql.TrimEnd(), StringComparison.Ordinal);
    }
}
