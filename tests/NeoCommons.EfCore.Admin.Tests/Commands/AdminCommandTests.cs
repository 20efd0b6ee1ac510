using Microsoft.Extensions.Hosting;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Commands;

public sealed class AdminCommandTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_admin_schema_is_migrated_once()
    {
        var database = await servers.Postgres.CreateDatabaseAsync(ct: Ct);
        using var host = TestApp.BuildHost(servers.Postgres, database);
        var line = new CommandLine(host.Services);

        var early = await line.RunAsync("tenants", "list");
        var dry = (await line.RunAsync("admin", "migrate", "--dry-run", "--json")).IsOk();
        var first = (await line.RunAsync("admin", "migrate", "--json")).IsOk();
        var second = (await line.RunAsync("admin", "migrate")).IsOk();

        early.Failed(4, "has no tables yet");
        early.Failed(4, "Run 'admin migrate'");
        Assert.Equal(dry.Json.GetProperty("pending").GetRawText(), first.Json.GetProperty("applied").GetRawText());
        Assert.NotEqual(0, first.Json.GetProperty("applied").GetArrayLength());
        Assert.Contains("up to date", second.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_are_rotated_to_the_first_and_a_second_run_has_nothing_to_do()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            databases: 3,
            settings: new Dictionary<string, string?> { ["DB_ENCRYPTION_KEY"] = OldKey }
        );
        await app.AdminAsync(
            "UPDATE admin.database_connections SET encrypted_password = 'gAAAAAlost' WHERE connection_name = 'db3'"
        );
        using var host = WithKeys(app, $"{NewKey},{OldKey}");
        var line = new CommandLine(host.Services);

        var dry = await line.RunAsync("keys", "rotate", "--dry-run", "--json");
        var first = await line.RunAsync("keys", "rotate", "--json");
        var second = await line.RunAsync("keys", "rotate", "--json");

        Assert.Equal((1, 2), (dry.Code, dry.Json.GetProperty("rotated").GetInt32()));
        Assert.Equal((1, 2), (first.Code, first.Json.GetProperty("rotated").GetInt32()));
        Assert.Equal((1, 0), (second.Code, second.Json.GetProperty("rotated").GetInt32()));
        var unusable = Assert.Single(first.Json.GetProperty("unusable").EnumerateArray());
        Assert.Equal("db3", unusable.GetProperty("connection").GetString());
        Assert.Equal("secret cannot be read", unusable.GetProperty("reason").GetString());
        Assert.Equal([(1, 0, 2), (2, 2, 0)], Counts(first));
        Assert.Equal([(1, 2, 2), (2, 0, 0)], Counts(second));
        Assert.DoesNotContain(NewKey, first.Out, StringComparison.Ordinal);

        // The old key can go.
        await app.AdminAsync("DELETE FROM admin.database_connections WHERE connection_name = 'db3'");
        using var later = WithKeys(app, NewKey);
        (await new CommandLine(later.Services).RunAsync("connections", "test")).IsOk();
    }

    [Fact]
    public async Task A_rotation_goes_over_many_batches()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            databases: 1,
            settings: new Dictionary<string, string?> { ["DB_ENCRYPTION_KEY"] = OldKey }
        );
        await app.AdminAsync(
            "INSERT INTO admin.database_connections (connection_name, host, database_name, username, encrypted_password) "
                + "SELECT 'many-' || n, 'h' || n, 'd', 'u', (SELECT encrypted_password FROM admin.database_connections) "
                + "FROM generate_series(1, 450) n"
        );
        using var host = WithKeys(app, $"{NewKey},{OldKey}");

        var run = await new CommandLine(host.Services).RunAsync("keys", "rotate", "--json");

        Assert.Equal(451, run.IsOk().Json.GetProperty("rotated").GetInt32());
        Assert.Equal(
            451L,
            await app.AdminAsync("SELECT count(DISTINCT encrypted_password) FROM admin.database_connections")
        );
    }

    private static readonly string OldKey = TestApp.NewKey();
    private static readonly string NewKey = TestApp.NewKey();

    private IHost WithKeys(TestApp app, string keys) =>
        TestApp.BuildHost(
            servers.Postgres,
            new NpgsqlConnectionStringBuilder(app.AdminConnectionString).Database!,
            new Dictionary<string, string?> { ["DB_ENCRYPTION_KEY"] = keys }
        );

    private static IEnumerable<(int, int, int)> Counts(CommandLine.Run run) =>
        run
            .Json.GetProperty("keys")
            .EnumerateArray()
            .Select(k =>
                (k.GetProperty("key").GetInt32(), k.GetProperty("before").GetInt32(), k.GetProperty("after").GetInt32())
            );
}
