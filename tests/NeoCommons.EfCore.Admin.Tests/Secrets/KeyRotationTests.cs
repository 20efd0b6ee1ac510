using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Admin.Tests.Commands;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Secrets;

/// <summary>A rotation may end at any moment and share the table with anybody: no password is lost, and none is approved of.</summary>
public sealed class KeyRotationTests(TestServers servers)
{
    private static readonly string OldKey = TestApp.NewKey();
    private static readonly string NewKey = TestApp.NewKey();
    private static readonly string Both = $"{NewKey},{OldKey}";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Killed_in_the_middle_every_password_can_be_read_and_the_next_run_does_the_rest()
    {
        await using var app = await StartAsync(databases: 6);
        await app.AdminAsync(
            """
            CREATE FUNCTION admin.die() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM pg_terminate_backend(pg_backend_pid());
                PERFORM pg_sleep(60);
                RETURN NEW;
            END $$;
            CREATE TRIGGER die BEFORE UPDATE ON admin.database_connections
                FOR EACH ROW WHEN (OLD.connection_name = 'db4') EXECUTE FUNCTION admin.die();
            """
        );
        using var host = With(app, Both);
        var line = new CommandLine(host.Services);

        var killed = await line.RunAsync("keys", "rotate", "--json");
        Assert.NotEqual(0, killed.Code);
        Assert.Equal("3, 3", await CountsAsync(line));
        for (var i = 1; i <= 6; i++)
        {
            Assert.Equal(servers.Postgres.Password, (await BoundApp.ReadAsync(app, $"db{i}", Both)).Text);
        }

        await app.AdminAsync("DROP FUNCTION admin.die() CASCADE");
        var rest = await line.RunAsync("keys", "rotate", "--json");
        Assert.Equal(3, rest.IsOk().Json.GetProperty("rotated").GetInt32());
        Assert.Equal("6, 0", await CountsAsync(line));
    }

    [Fact]
    public async Task Cancelled_in_the_middle_it_goes_on_with_the_rest_when_it_is_repeated()
    {
        await using var app = await StartAsync(databases: 4);
        using var host = With(app, Both);
        var line = new CommandLine(host.Services);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        await using (
            var somebody = await HoldAsync(
                app,
                "SELECT FROM admin.database_connections WHERE connection_name = 'db3' FOR UPDATE"
            )
        )
        {
            var running = line.RunUntilAsync(["keys", "rotate"], cancel.Token);
            await UntilItWaitsAsync(app);
            await cancel.CancelAsync();
            (await running).Failed(130, "repeat the command");
        }

        Assert.Equal("2, 2", await CountsAsync(line));
        (await line.RunAsync("keys", "rotate")).IsOk();
        Assert.Equal("4, 0", await CountsAsync(line));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_somebody_stores_meanwhile_is_not_written_over_and_is_taken_up_again(bool isMoved)
    {
        await using var app = await StartAsync(databases: 3);
        using var host = With(app, Both);
        var moved = await BoundApp.TargetAsync(app, "db2");
        moved = isMoved ? moved with { Port = 6543 } : moved;
        var theirs = new FernetSecrets(FernetKeys.Parse(OldKey), TimeProvider.System).Protect("theirs", moved);
        Task<CommandLine.Run> running;
        await using (
            var somebody = await HoldAsync(
                app,
                $"UPDATE admin.database_connections SET port = {moved.Port}, encrypted_password = '{theirs}' WHERE connection_name = 'db2'"
            )
        )
        {
            running = new CommandLine(host.Services).RunAsync("keys", "rotate", "--json");
            await UntilItWaitsAsync(app);
            await somebody.CommitAsync(Ct);
        }

        Assert.Equal(3, (await running).IsOk().Json.GetProperty("rotated").GetInt32());
        var read = await BoundApp.ReadAsync(app, "db2", NewKey);
        Assert.Equal((StoredSecretState.Bound, "theirs"), (read.State, read.Text));
        Assert.Equal(moved, await BoundApp.TargetAsync(app, "db2"));
    }

    [Fact]
    public async Task A_row_that_somebody_moves_meanwhile_without_the_key_is_not_written()
    {
        await using var app = await StartAsync(databases: 3);
        using var host = With(app, Both);
        var before = await BoundApp.TokenAsync(app, "db2");
        Task<CommandLine.Run> running;
        await using (
            var somebody = await HoldAsync(
                app,
                "UPDATE admin.database_connections SET port = 6543 WHERE connection_name = 'db2'"
            )
        )
        {
            running = new CommandLine(host.Services).RunAsync("keys", "rotate", "--json");
            await UntilItWaitsAsync(app);
            await somebody.CommitAsync(Ct);
        }

        var run = await running;
        Assert.Equal((1, 2), (run.Code, run.Json.GetProperty("rotated").GetInt32()));
        Assert.Equal(before, await BoundApp.TokenAsync(app, "db2"));
    }

    [Fact]
    public async Task A_row_that_somebody_deletes_meanwhile_is_nobodys_loss()
    {
        await using var app = await StartAsync(databases: 3);
        using var host = With(app, Both);
        Task<CommandLine.Run> running;
        await using (
            var somebody = await HoldAsync(app, "DELETE FROM admin.database_connections WHERE connection_name = 'db2'")
        )
        {
            running = new CommandLine(host.Services).RunAsync("keys", "rotate", "--json");
            await UntilItWaitsAsync(app);
            await somebody.CommitAsync(Ct);
        }

        Assert.Equal(2, (await running).IsOk().Json.GetProperty("rotated").GetInt32());
    }

    [Fact]
    public async Task A_row_that_was_changed_without_the_key_stays_refused()
    {
        await using var app = await StartAsync(databases: 2);
        await app.AdminAsync(
            "UPDATE admin.database_connections SET host = 'evil.example' WHERE connection_name = 'db1'"
        );
        var before = await BoundApp.TokenAsync(app, "db1");
        using var host = With(app, Both);

        var run = await new CommandLine(host.Services).RunAsync("keys", "rotate", "--json");

        Assert.Equal((1, 1), (run.Code, run.Json.GetProperty("rotated").GetInt32()));
        Assert.Equal(before, await BoundApp.TokenAsync(app, "db1"));
        var unusable = Assert.Single(run.Json.GetProperty("unusable").EnumerateArray());
        Assert.Equal("db1", unusable.GetProperty("connection").GetString());
        Assert.Equal("secret is for another database", unusable.GetProperty("reason").GetString());
    }

    [Fact]
    public async Task Passwords_alone_are_bound_and_it_is_shown_to_what()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            databases: 2,
            settings: new Dictionary<string, string?> { ["DB_ENCRYPTION_KEY"] = NewKey }
        );
        var before = await BoundApp.TokenAsync(app, "db1");
        var line = CommandLine.Of(app);

        var dry = await line.RunAsync("keys", "rotate", "--dry-run");
        Assert.Equal(before, await BoundApp.TokenAsync(app, "db1"));
        var run = await line.RunAsync("keys", "rotate");
        var again = await line.RunAsync("keys", "rotate", "--json");

        var target = (await BoundApp.TargetAsync(app, "db1")).ToString();
        Assert.Contains(target, dry.IsOk().Out, StringComparison.Ordinal);
        Assert.Contains(target, run.IsOk().Out, StringComparison.Ordinal);
        Assert.Equal(0, again.IsOk().Json.GetProperty("rotated").GetInt32());
        Assert.Equal(StoredSecretState.Bound, (await BoundApp.ReadAsync(app, "db1", NewKey)).State);
        await using var connection = await app.Databases.OpenConnectionAsync("db1", Ct);
    }

    [Fact]
    public async Task Passwords_alone_that_are_refused_are_not_bound()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            databases: 1,
            settings: new Dictionary<string, string?>
            {
                ["DB_ENCRYPTION_KEY"] = NewKey,
                ["NeoCommons:AdminDatabase:RefuseUnboundPasswords"] = "true",
            }
        );
        var before = await BoundApp.TokenAsync(app, "db1");

        var run = await CommandLine.Of(app).RunAsync("keys", "rotate");

        Assert.Equal(1, run.Code);
        Assert.Contains("secret is bound to no database", run.Out, StringComparison.Ordinal);
        Assert.Equal(before, await BoundApp.TokenAsync(app, "db1"));
    }

    [Fact]
    public async Task A_key_that_is_still_needed_may_not_be_taken_away()
    {
        await using var app = await StartAsync(databases: 2);
        using var host = With(app, Both);
        var line = new CommandLine(host.Services);

        (await line.RunAsync("keys", "status", "--without", "2")).Failed(5, "db1, db2");
        (await line.RunAsync("keys", "status", "--without", "3")).Failed(2, "no key 3");
        (await line.RunAsync("keys", "rotate")).IsOk();
        (await line.RunAsync("keys", "status", "--without", "2")).IsOk();
        (await line.RunAsync("keys", "status", "--without", "1")).Failed(5, "still needed");
    }

    [Fact]
    public async Task A_key_that_was_taken_away_too_early_costs_its_connections_and_no_other()
    {
        await using var app = await StartAsync(databases: 2);
        var rotated = new FernetSecrets(FernetKeys.Parse(NewKey), TimeProvider.System).Protect(
            servers.Postgres.Password,
            await BoundApp.TargetAsync(app, "db2")
        );
        await app.AdminAsync(
            $"UPDATE admin.database_connections SET encrypted_password = '{rotated}' WHERE connection_name = 'db2'"
        );
        using var host = With(app, NewKey);
        await host.StartAsync(Ct);
        var databases = host.Services.GetRequiredService<IDatabaseConnections>();
        await using (await databases.OpenConnectionAsync("db2", Ct)) { }
        await Assert.ThrowsAsync<SecretDecryptionException>(async () => await databases.OpenConnectionAsync("db1", Ct));
        Assert.Equal("secret is of another key", (await BoundApp.HealthAsync(host.Services, "db1")).Reason);
        var status = await new CommandLine(host.Services).RunAsync("keys", "status");
        Assert.Equal(1, status.Code);
        Assert.Contains("db1", status.Out, StringComparison.Ordinal);
        await host.StopAsync(Ct);
    }

    /// <summary>How many passwords each key holds.</summary>
    private static async Task<string> CountsAsync(CommandLine line) =>
        string.Join(
            ", ",
            (await line.RunAsync("keys", "status", "--json"))
                .IsOk()
                .Json.GetProperty("keys")
                .EnumerateArray()
                .Select(k => k.GetProperty("count").GetInt32())
        );

    private static async Task UntilItWaitsAsync(TestApp app)
    {
        while (
            !(bool)
                (
                    await app.AdminAsync(
                        "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.datname = current_database())"
                    )
                )!
        )
        {
            await Task.Delay(20, Ct);
        }
    }

    private static async Task<Holder> HoldAsync(TestApp app, string sql)
    {
        var connection = new NpgsqlConnection(app.AdminConnectionString + ";Pooling=false");
        await connection.OpenAsync(Ct);
        var transaction = await connection.BeginTransactionAsync(Ct);
        await using var command = new NpgsqlCommand(sql, connection, transaction);
        await command.ExecuteNonQueryAsync(Ct);
        return new Holder(connection, transaction);
    }

    private Task<TestApp> StartAsync(int databases) =>
        BoundApp.StartAsync(servers, databases, new Dictionary<string, string?> { ["DB_ENCRYPTION_KEY"] = OldKey });

    private static IHost With(TestApp app, string keys) =>
        BoundApp.Again(app, new Dictionary<string, string?> { ["DB_ENCRYPTION_KEY"] = keys });

    /// <summary>Somebody else's transaction.</summary>
    private sealed class Holder(NpgsqlConnection connection, NpgsqlTransaction transaction) : IAsyncDisposable
    {
        public Task CommitAsync(CancellationToken ct) => transaction.CommitAsync(ct);

        public ValueTask DisposeAsync() => connection.DisposeAsync();
    }
}
