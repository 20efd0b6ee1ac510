namespace NeoCommons.EfCore.Admin.Tests.Commands;

public sealed class ConnectionCommandTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_database_is_registered_with_a_password_from_stdin_and_used_at_once()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 0);

        var added = await CommandLine.Of(app, Password + "\n").RunAsync([.. await AddAsync("new"), "--json"]);
        var created = await CommandLine.Of(app).RunAsync("tenants", "create", "acme", "--connection", "new");

        Assert.Equal("new", added.IsOk().Json.GetProperty("connection").GetProperty("name").GetString());
        Assert.Equal(servers.Postgres.Username, added.Json.GetProperty("findings").GetProperty("user").GetString());
        Assert.DoesNotContain(Password, added.Out + added.Errors, StringComparison.Ordinal);
        Assert.StartsWith(
            "gAAAA",
            (string?)await app.AdminAsync("SELECT encrypted_password FROM admin.database_connections"),
            StringComparison.Ordinal
        );
        created.IsOk();
    }

    [Fact]
    public async Task A_password_may_come_from_the_environment()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 0);
        const string variable = "NEOCOMMONS_TEST_PASSWORD";
        Environment.SetEnvironmentVariable(variable, Password);

        (await CommandLine.Of(app).RunAsync([.. await AddAsync("new"), "--password-env", variable])).IsOk();
        var unset = await CommandLine
            .Of(app)
            .RunAsync([.. await AddAsync("other"), "--password-env", "NO_SUCH_VARIABLE"]);
        var none = await CommandLine.Of(app).RunAsync(await AddAsync("other"));

        unset.Failed(2, "NO_SUCH_VARIABLE");
        none.Failed(2, "stdin");
    }

    [Fact]
    public async Task What_cannot_be_used_is_not_registered()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 1);
        var known = (string)(await app.AdminAsync("SELECT database_name FROM admin.database_connections"))!;

        var away = await CommandLine.Of(app, "x\n").RunAsync(await AddAsync("new", port: 1));
        var odd = await CommandLine.Of(app, "x\n").RunAsync(await AddAsync("new", host: "a,b"));
        var twice = await CommandLine.Of(app, Password + "\n").RunAsync(await AddAsync("new", known));
        var dry = await CommandLine.Of(app, Password + "\n").RunAsync([.. await AddAsync("new"), "--dry-run"]);

        var reserved = await CommandLine.Of(app, Password + "\n").RunAsync(await AddAsync("admin-database"));

        away.Failed(4, "new");
        reserved.Failed(2, "ck_database_connections_connection_name");
        odd.Failed(2, "host");
        twice.Failed(5, "is registered");
        Assert.Contains("Nothing was changed", dry.IsOk().Out, StringComparison.Ordinal);
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.database_connections"));
    }

    [Fact]
    public async Task Connections_are_listed_without_their_passwords()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await app.CreateTenantAsync("acme");
        await app.AdminAsync(
            "UPDATE admin.database_connections SET encrypted_password = 'gAAAAAlost' WHERE connection_name = 'db2'"
        );
        await TestApp.RegisterAsync(app.Services, app.Server, "meta", "x", row => row.Host = "169.254.169.254");
        await app.ReloadAsync();

        var text = (await CommandLine.Of(app).RunAsync("connections", "list")).IsOk().Out;
        var json = (await CommandLine.Of(app).RunAsync("connections", "list", "--json")).IsOk();

        Assert.Contains("password unreadable", text, StringComparison.Ordinal);
        Assert.Contains("refused:", text, StringComparison.Ordinal);
        Assert.Equal([1, 0, 0], json.Json.EnumerateArray().Select(c => c.GetProperty("tenants").GetInt32()));
        Assert.Equal([0, 0, 1], json.Json.EnumerateArray().Select(c => c.GetProperty("faults").GetArrayLength()));
        Assert.DoesNotContain("gAAAA", text + json.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_test_tells_each_connection_by_itself()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await app.AdminAsync("UPDATE admin.database_connections SET port = 1 WHERE connection_name = 'db2'");
        await app.ReloadAsync();

        var one = await CommandLine.Of(app).RunAsync("connections", "test", "db1", "--json");
        var all = await CommandLine.Of(app).RunAsync("connections", "test", "--json");

        Assert.True(one.IsOk().Json[0].GetProperty("findings").GetProperty("mayCreateSchemas").GetBoolean());
        Assert.Equal(4, all.Code);
        Assert.Equal([true, false], all.Json.EnumerateArray().Select(c => c.GetProperty("isUsable").GetBoolean()));
        (await CommandLine.Of(app).RunAsync("connections", "test", "db3")).Failed(3, "db3");
    }

    [Fact]
    public async Task A_password_that_does_not_work_is_not_stored()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.DirectAsync("db1", $"CREATE ROLE limited LOGIN PASSWORD 'right'");
        await app.AdminAsync("UPDATE admin.database_connections SET username = 'limited'");
        await app.ReloadAsync();
        var before = await StoredAsync();

        var wrong = await CommandLine.Of(app, "wrong\n").RunAsync("connections", "set-password", "db1");
        var dry = await CommandLine.Of(app, "right\n").RunAsync("connections", "set-password", "db1", "--dry-run");
        var unchanged = await StoredAsync();
        var right = await CommandLine.Of(app, "right\n").RunAsync("connections", "set-password", "db1");
        await app.ReloadAsync();

        wrong.Failed(4, "refused user 'limited' with the password that was given (28P01)");
        Assert.DoesNotContain("set-password", wrong.Errors, StringComparison.Ordinal);
        dry.IsOk();
        right.IsOk();
        Assert.Equal(before, unchanged);
        Assert.NotEqual(before, await StoredAsync());
        (await CommandLine.Of(app).RunAsync("connections", "test", "db1")).IsOk();
        await app.DirectAsync("db1", "DROP ROLE limited");

        Task<object?> StoredAsync() => app.AdminAsync("SELECT encrypted_password FROM admin.database_connections");
    }

    [Fact]
    public async Task A_connection_is_disabled_and_enabled()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");

        var dry = await CommandLine.Of(app).RunAsync("connections", "disable", "db1", "--dry-run", "--json");
        Assert.True(dry.IsOk().Json.GetProperty("isActive").GetBoolean());
        Assert.Equal(1, dry.Json.GetProperty("tenants").GetInt32());
        (await CommandLine.Of(app).RunAsync("connections", "disable", "db1")).IsOk();
        await app.ReloadAsync();
        await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await app.Shop.CreateDbContextAsync("acme", Ct)
        );

        (await CommandLine.Of(app).RunAsync("connections", "enable", "db1")).IsOk();
        await app.ReloadAsync();
        await using var context = await app.Shop.CreateDbContextAsync("acme", Ct);
        (await CommandLine.Of(app).RunAsync("connections", "disable", "db9")).Failed(3, "db9");
    }

    private string Password => servers.Postgres.Password;

    [Fact]
    public async Task Replica_hosts_and_a_failover_connection_are_given_shown_and_taken_away()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await app.CreateTenantAsync("acme", "db1");
        string[] add = [.. await AddAsync("new"), "--no-test", "--replica-hosts", "b.example, c.example:5433"];

        (await CommandLine.Of(app, Password + "\n").RunAsync([.. add, "--failover", "db1"])).Failed(5, "has tenants");
        (await CommandLine.Of(app, Password + "\n").RunAsync([.. add, "--failover", "nobody"])).Failed(5, "--failover");
        (await CommandLine.Of(app, Password + "\n").RunAsync([.. add, "--failover", "new"])).Failed(5, "its own");
        foreach (var (refused, why) in new[] { ("db1", "has tenants"), ("nobody", "--failover"), ("new", "its own") })
        {
            (await CommandLine.Of(app, Password + "\n").RunAsync([.. add, "--failover", refused, "--dry-run"])).Failed(
                5,
                why
            );
        }

        (await CommandLine.Of(app, Password + "\n").RunAsync([.. add, "--failover", "db2", "--dry-run"])).IsOk();
        (await CommandLine.Of(app, Password + "\n").RunAsync([.. add, "--failover", "db2"])).IsOk();
        await app.ReloadAsync();
        var listed = (await CommandLine.Of(app).RunAsync("connections", "list", "--json"))
            .IsOk()
            .Json.EnumerateArray()
            .Single(c => c.GetProperty("name").GetString() == "new");
        var odd = await CommandLine
            .Of(app)
            .RunAsync("connections", "set-address", "new", "--replica-hosts", "169.254.169.254");
        string[] change = ["connections", "set-address", "new", "--no-test"];
        string[] other = ["connections", "set-address", "db1", "--no-test"];
        foreach (var dryRun in new string[][] { ["--dry-run"], [] })
        {
            (await CommandLine.Of(app).RunAsync([.. other, .. dryRun, "--failover", "db1"])).Failed(5, "its own");
            (await CommandLine.Of(app).RunAsync([.. other, .. dryRun, "--failover", "db2"])).Failed(5, "stands in");
            (await CommandLine.Of(app).RunAsync([.. other, .. dryRun, "--failover", "nobody"])).Failed(5, "--failover");
            (await CommandLine.Of(app).RunAsync([.. other, .. dryRun, "--failover-writes", "true"])).Failed(
                5,
                "needs --failover"
            );
        }

        (await CommandLine.Of(app).RunAsync([.. change, "--failover", "db2", "--dry-run"])).Says("'db2' is used");
        (await CommandLine.Of(app).RunAsync("connections", "disable", "db2", "--dry-run")).Says(
            "'new' has no failover connection"
        );
        (await CommandLine.Of(app).RunAsync([.. change, "--failover-writes", "true"])).IsOk();
        var written = await RowAsync();
        await app.ReloadAsync();
        (await CommandLine.Of(app).RunAsync([.. change, "--replica-hosts", "", "--failover", ""])).IsOk();

        Assert.Equal(
            ["b.example", "c.example:5433"],
            listed.GetProperty("replicaHosts").EnumerateArray().Select(h => h.GetString())
        );
        Assert.Equal("db2", listed.GetProperty("failoverConnection").GetString());
        odd.Failed(2, "metadata");
        Assert.Equal("b.example,c.example:5433|db2|true", written);
        Assert.Equal("||false", await RowAsync());

        async Task<object?> RowAsync() =>
            await app.AdminAsync(
                "SELECT format('%s|%s|%s', replica_hosts, failover_connection, failover_writes::text) "
                    + "FROM admin.database_connections WHERE connection_name = 'new'"
            );
    }

    private async Task<string[]> AddAsync(
        string name,
        string? database = null,
        string? host = null,
        int? port = null
    ) =>
        [
            "connections",
            "add",
            name,
            "--host",
            host ?? servers.Postgres.Host,
            "--port",
            $"{port ?? servers.Postgres.Port}",
            "--database",
            database ?? await servers.Postgres.CreateDatabaseAsync(ct: Ct),
            "--username",
            servers.Postgres.Username,
            "--ssl-mode",
            "disable",
        ];
}
