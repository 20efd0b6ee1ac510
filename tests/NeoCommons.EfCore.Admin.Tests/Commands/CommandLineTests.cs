using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace NeoCommons.EfCore.Admin.Tests.Commands;

/// <summary>What holds for every command: streams, exit codes, errors.</summary>
public sealed class CommandLineTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true, "tenants", "list")]
    [InlineData(true, "connections")]
    [InlineData(true, "keys", "rotate", "--json")]
    [InlineData(false)]
    [InlineData(false, "--urls", "http://localhost:1")]
    [InlineData(false, "serve", "tenants")]
    public void A_line_is_a_command_if_its_first_word_is_one_of_ours(bool expected, params string[] args) =>
        Assert.Equal(expected, NeoCommonsHostExtensions.IsNeoCommonsCommand(args));

    [Fact]
    public async Task Without_a_command_the_application_runs_until_it_is_stopped()
    {
        var host = new HostApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true }).Build();
        var lifetime = host.Services.GetRequiredService<IHostApplicationLifetime>();
        lifetime.ApplicationStarted.Register(lifetime.StopApplication);

        Assert.Equal(0, await host.RunNeoCommonsAsync(["--seed=true"], Ct));
    }

    [Theory]
    [InlineData("'--nme'", "tenants", "list", "--nme", "x")]
    [InlineData("--confirm", "tenants", "delete", "acme")]
    [InlineData("tenants --help", "tenants")]
    [InlineData("tenants --help", "tenants", "fly")]
    [InlineData("'purple'", "tenants", "list", "--status", "purple")]
    [InlineData(
        "--lock-timeout takes seconds from 0 to 2147483",
        "tenants",
        "migrate",
        "--all",
        "--lock-timeout",
        "1e300"
    )]
    [InlineData("not 'NaN'", "tenants", "migrate", "--all", "--lock-timeout", "NaN")]
    [InlineData("--rings takes percents over 0, at most 100", "tenants", "migrate", "--all", "--rings", "5", "0")]
    [InlineData("--parallelism takes", "tenants", "migrate", "--all", "--parallelism", "0")]
    [InlineData("--error-budget takes", "tenants", "migrate", "--all", "--error-budget", "-1")]
    [InlineData("--retention-days takes days from 0", "tenants", "archive", "acme", "--retention-days", "-1")]
    [InlineData("--retention-days takes days from 0", "tenants", "archive", "acme", "--retention-days", "1e9")]
    [InlineData("--id takes a UUID, not 'notaguid'", "tenants", "create", "acme", "--id", "notaguid")]
    [InlineData("--run takes", "tenants", "status", "--run", "x")]
    [InlineData("--port takes a port, 1 to 65535", "connections", "set-address", "db1", "--port", "65536")]
    [InlineData(
        "--host, --port, --database, --username, --replica-hosts, --failover or --failover-writes",
        "connections",
        "set-address",
        "db1"
    )]
    [InlineData("connections set-password", "connections", "set-address", "db1", "--password-env", "X")]
    [InlineData("--without takes", "keys", "status", "--without", "x")]
    public async Task A_wrong_line_is_refused_in_one_line(string part, params string[] args)
    {
        var run = await new CommandLine(new ServiceCollection().BuildServiceProvider()).RunAsync(args);

        run.Failed(2, part);
        Assert.Empty(run.Out);
        Assert.DoesNotContain("System.", run.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--password", "s3cret!")]
    [InlineData("--password=s3cret!")]
    public async Task A_password_on_the_line_is_refused_and_not_shown(params string[] password)
    {
        var run = await new CommandLine(new ServiceCollection().BuildServiceProvider()).RunAsync([
            "connections",
            "set-password",
            "db1",
            .. password,
        ]);

        run.Failed(2, "--password-env");
        Assert.DoesNotContain("s3cret", run.Errors + run.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tenants", "create", "--help")]
    [InlineData("connections", "add", "--help")]
    [InlineData("keys", "--help")]
    public async Task Help_goes_to_stdout(params string[] args)
    {
        var run = await new CommandLine(new ServiceCollection().BuildServiceProvider()).RunAsync(args);

        Assert.Contains("--json", run.IsOk().Out, StringComparison.Ordinal);
        Assert.Empty(run.Errors);
    }

    [Fact]
    public async Task An_error_is_a_document_too_where_json_is_asked_for()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 0);

        var missing = await CommandLine.Of(app).RunAsync("tenants", "show", "nobody", "--json");
        var wrong = await CommandLine.Of(app).RunAsync("tenants", "fly", "--json");

        missing.Failed(3, "nobody");
        Assert.Equal("notFound", missing.Json.GetProperty("error").GetProperty("exitCode").GetString());
        wrong.Failed(2, "fly");
        Assert.Equal("usage", wrong.Json.GetProperty("error").GetProperty("exitCode").GetString());
    }

    [Fact]
    public async Task The_stack_trace_is_for_who_asks_for_it()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 0);

        var plain = await CommandLine.Of(app).RunAsync("tenants", "show", "nobody");
        var verbose = await CommandLine.Of(app).RunAsync("tenants", "show", "nobody", "--verbose");

        plain.Failed(3, "nobody");
        Assert.Contains("   at ", verbose.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_application_that_is_not_configured_says_what_to_set()
    {
        using var host = TestApp.BuildHost(
            servers.Postgres,
            "any",
            new Dictionary<string, string?> { ["ADMIN_DATABASE_URL"] = "", ["DB_ENCRYPTION_KEY"] = "" }
        );

        var run = await new CommandLine(host.Services).RunAsync("tenants", "list");

        run.Failed(6, "ADMIN_DATABASE_URL is not set");
        run.Failed(6, "DB_ENCRYPTION_KEY is not set");
    }

    [Fact]
    public async Task An_admin_database_that_is_away_is_unavailable()
    {
        using var host = TestApp.BuildHost(
            servers.Postgres,
            "any",
            new Dictionary<string, string?> { ["ADMIN_DATABASE_URL"] = "postgresql://u:s3cret@127.0.0.1:1/x" }
        );

        var run = await new CommandLine(host.Services).RunAsync("admin", "migrate");

        run.Failed(4, "127.0.0.1:1");
        Assert.DoesNotContain("s3cret", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cancelled_it_says_how_to_go_on()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        // The creation waits behind this lock, which is how it can be cancelled in its midst.
        await using var holder = await app.Databases.OpenConnectionAsync("db1", Ct);
        await using var locking = new Npgsql.NpgsqlCommand(
            "SELECT pg_advisory_lock(hashtextextended('neocommons.migrate:tenant_acme', 0))",
            holder
        );
        await locking.ExecuteNonQueryAsync(Ct);

        var running = CommandLine
            .Of(app)
            .RunUntilAsync(["tenants", "create", "acme", "--connection", "db1"], cancel.Token);
        while (await app.AdminAsync("SELECT count(*) FROM admin.tenants") is 0L)
        {
            await Task.Delay(20, Ct);
        }

        await cancel.CancelAsync();
        (await running).Failed(130, "repeat the command");
    }

    [Fact]
    public async Task A_terminal_gets_a_drawn_table_and_a_pipe_plain_columns()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");
        await app.AdminAsync("UPDATE admin.tenants SET name = E'[bold]A\\x1b[31mcme[/]'");

        var drawn = (await CommandLine.Of(app, width: 200).RunAsync("tenants", "list")).IsOk().Out;
        var narrow = (await CommandLine.Of(app, width: 40).RunAsync("tenants", "list")).IsOk().Out;
        var plain = (await CommandLine.Of(app).RunAsync("tenants", "list")).IsOk().Out;

        Assert.Contains("\u001b[1m", drawn, StringComparison.Ordinal);
        Assert.Contains("│", drawn, StringComparison.Ordinal);
        Assert.DoesNotContain("\u001b[31m", drawn, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', plain);
        Assert.DoesNotContain("│", plain, StringComparison.Ordinal);
        Assert.Contains("[bold]A\uFFFD[31mcme[/]", plain, StringComparison.Ordinal);
        Assert.StartsWith("SLUG  NAME", plain, StringComparison.Ordinal);
        Assert.Equal(plain, narrow);
    }
}
