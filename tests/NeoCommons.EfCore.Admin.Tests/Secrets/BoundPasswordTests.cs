using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Commands;

namespace NeoCommons.EfCore.Admin.Tests.Secrets;

/// <summary>A stored password is of use at the host, port, database and user that it was stored for, and nowhere else.</summary>
public sealed class BoundPasswordTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_token_that_is_copied_to_another_row_is_refused_and_the_other_rows_work()
    {
        await using var app = await BoundApp.StartAsync(servers, databases: 3);

        await app.AdminAsync(
            "UPDATE admin.database_connections SET encrypted_password = (SELECT encrypted_password FROM admin.database_connections "
                + "WHERE connection_name = 'db1') WHERE connection_name = 'db2'"
        );
        await app.ReloadAsync();

        // All three have one server, one user and one password: only the database tells them apart.
        await AssertRefusedAsync(app, "db2");
        await AssertWorksAsync(app, "db1");
        await AssertWorksAsync(app, "db3");
    }

    [Theory]
    [InlineData("host = 'localhost'")]
    [InlineData("port = 1")]
    [InlineData("database_name = 'postgres'")]
    [InlineData("username = username || ' '")]
    public async Task A_row_that_is_changed_without_the_key_is_refused_until_its_password_is_stored_again(string change)
    {
        await using var app = await BoundApp.StartAsync(servers, databases: 2);

        await app.AdminAsync($"UPDATE admin.database_connections SET {change} WHERE connection_name = 'db1'");
        await app.ReloadAsync();

        await AssertRefusedAsync(app, "db1");
        await AssertWorksAsync(app, "db2");
        Assert.Equal("secret is for another database", (await BoundApp.HealthAsync(app.Services, "db1")).Reason);

        var line = CommandLine.Of(app, servers.Postgres.Password + "\n");
        (await line.RunAsync("connections", "set-password", "db1", "--no-test")).IsOk();
        await app.ReloadAsync();
        Assert.Equal(
            servers.Postgres.Password,
            (await app.Get<IConnectionRegistry>().FindAsync("db1", Ct))!.Password.Reveal()
        );
    }

    [Fact]
    public async Task A_host_that_somebody_has_put_into_a_row_is_not_even_called()
    {
        await using var app = await BoundApp.StartAsync(servers, databases: 1);
        using var rogue = new TcpListener(IPAddress.Loopback, 0);
        rogue.Start();

        await app.AdminAsync(
            $"UPDATE admin.database_connections SET host = '127.0.0.1', port = {((IPEndPoint)rogue.LocalEndpoint).Port}"
        );
        await app.ReloadAsync();

        await AssertRefusedAsync(app, "db1");
        Assert.Equal(4, (await CommandLine.Of(app).RunAsync("connections", "test", "db1")).Code);
        Assert.False(rogue.Pending());
    }

    [Fact]
    public async Task Moved_by_command_a_connection_keeps_its_password_and_gets_another_token()
    {
        await using var app = await BoundApp.StartAsync(servers, databases: 1);
        var other = await servers.Postgres.CreateDatabaseAsync(ct: Ct);
        var before = await BoundApp.TokenAsync(app, "db1");

        var dry = await SetAddressAsync(app, "--database", other, "--dry-run");
        Assert.Contains("Nothing was changed", dry.IsOk().Out, StringComparison.Ordinal);
        Assert.Equal(before, await BoundApp.TokenAsync(app, "db1"));
        (await SetAddressAsync(app, "--port", "1")).Failed(4, "db1");
        (await SetAddressAsync(app, "--host", "169.254.169.254")).Failed(2, "metadata");
        Assert.Equal(before, await BoundApp.TokenAsync(app, "db1"));
        (await SetAddressAsync(app, "--database", other)).IsOk();
        await app.ReloadAsync();

        Assert.NotEqual(before, await BoundApp.TokenAsync(app, "db1"));
        await using var connection = await app.Databases.OpenConnectionAsync("db1", Ct);
        Assert.Equal(other, connection.Database);
    }

    [Fact]
    public async Task A_command_does_not_write_over_an_address_that_it_has_not_seen()
    {
        await using var app = await BoundApp.StartAsync(servers, databases: 1);
        using var host = BoundApp.Again(app, Key(app));
        var line = new CommandLine(host.Services) { Input = "x\n" };

        // It reads the rows once, and the host is not started: nobody tells it of the change.
        (await line.RunAsync("connections", "list")).IsOk();
        await app.AdminAsync("UPDATE admin.database_connections SET port = 1");
        var before = await BoundApp.TokenAsync(app, "db1");

        (await line.RunAsync("connections", "set-password", "db1", "--no-test")).Failed(5, "changed a moment ago");
        (await line.RunAsync("connections", "set-address", "db1", "--port", "2", "--no-test")).Failed(
            5,
            "does not name"
        );
        Assert.Equal(before, await BoundApp.TokenAsync(app, "db1"));
    }

    [Fact]
    public async Task A_row_that_was_changed_without_the_key_is_not_moved_by_command_either()
    {
        await using var app = await BoundApp.StartAsync(servers, databases: 1);
        await app.AdminAsync("UPDATE admin.database_connections SET port = 1");
        await app.ReloadAsync();

        (await SetAddressAsync(app, "--host", "localhost", "--no-test")).Failed(
            6,
            "another host, port, database or user"
        );
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Moved_by_the_applications_own_context_a_row_keeps_its_password(bool async)
    {
        await using var app = await BoundApp.StartAsync(servers, databases: 2);
        var other = await servers.Postgres.CreateDatabaseAsync(ct: Ct);
        await using (var context = await app.Get<IDbContextFactory<AdminDbContext>>().CreateDbContextAsync(Ct))
        {
            var row = await context.DatabaseConnections.SingleAsync(c => c.ConnectionName == "db1", Ct);
            row.DatabaseName = other;
            _ = async ? await context.SaveChangesAsync(Ct) : context.SaveChanges();

            // And what goes around the change tracker fails closed.
            await context
                .DatabaseConnections.Where(c => c.ConnectionName == "db2")
                .ExecuteUpdateAsync(set => set.SetProperty(c => c.Host, "localhost"), Ct);
        }

        await app.ReloadAsync();

        await using var connection = await app.Databases.OpenConnectionAsync("db1", Ct);
        Assert.Equal(other, connection.Database);
        await AssertRefusedAsync(app, "db2");
    }

    [Fact]
    public async Task A_password_alone_works_is_counted_and_can_be_refused()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 1);
        await BoundApp.AddAsync(app, "bound");
        await app.ReloadAsync();

        await AssertWorksAsync(app, "db1");
        Assert.Equal(new SecretAudit(2, 0, 1), app.Get<AdminConnectionRegistry>().Audit);
        Assert.Equal(1, ReadGauge(app.Get<RegistryMetrics>().Meter, "neocommons.registry.unbound_passwords"));
        var status = await CommandLine.Of(app).RunAsync("keys", "status", "--json");
        Assert.Equal("db1", Assert.Single(status.IsOk().Json.GetProperty("unbound").EnumerateArray()).GetString());

        using var strict = BoundApp.Again(
            app,
            new Dictionary<string, string?>(Key(app)) { ["NeoCommons:AdminDatabase:RefuseUnboundPasswords"] = "true" }
        );
        await strict.StartAsync(Ct);
        var databases = strict.Services.GetRequiredService<IDatabaseConnections>();
        var refused = await Assert.ThrowsAsync<SecretDecryptionException>(async () =>
            await databases.OpenConnectionAsync("db1", Ct)
        );
        Assert.Contains("RefuseUnboundPasswords", refused.Message, StringComparison.Ordinal);
        await using (await databases.OpenConnectionAsync("bound", Ct)) { }
        Assert.Equal("secret is bound to no database", (await BoundApp.HealthAsync(strict.Services, "db1")).Reason);
        await strict.StopAsync(Ct);
    }

    private static int? ReadGauge(Meter meter, string name)
    {
        int? value = null;
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, all) =>
        {
            if (instrument.Meter == meter && instrument.Name == name)
            {
                all.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<int>((_, read, _, _) => value = read);
        listener.Start();
        listener.RecordObservableInstruments();
        return value;
    }

    private static Dictionary<string, string?> Key(TestApp app) =>
        new()
        {
            ["DB_ENCRYPTION_KEY"] =
                app.Get<Microsoft.Extensions.Options.IOptions<AdminDatabaseOptions>>().Value.EncryptionKey,
        };

    private static Task<CommandLine.Run> SetAddressAsync(TestApp app, params string[] options) =>
        CommandLine.Of(app).RunAsync(["connections", "set-address", "db1", .. options]);

    private static async Task AssertWorksAsync(TestApp app, string name)
    {
        await using var connection = await app.Databases.OpenConnectionAsync(name, Ct);
    }

    private static async Task AssertRefusedAsync(TestApp app, string name)
    {
        var refused = await Assert.ThrowsAsync<SecretDecryptionException>(async () =>
            await app.Databases.OpenConnectionAsync(name, Ct)
        );
        Assert.Equal(name, refused.ConnectionName);
        Assert.Contains("another host, port, database or user", refused.Message, StringComparison.Ordinal);
    }
}
