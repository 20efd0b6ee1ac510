using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>A row is data from outside: what it holds is a literal value, or it is refused, and no other row suffers.</summary>
public sealed class RowValidationTests(TestServers servers)
{
    private const string Canary = "canary-7c1d9e";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<string> RefusedHosts =>
        [
            "",
            " ",
            "a b",
            " localhost",
            "localhost ",
            "localhost\n",
            "a,b",
            "127.0.0.1,127.0.0.2",
            "127.0.0.1,",
            "/tmp",
            "/var/run/postgresql",
            "@abstract",
            "127.0.0.1:5433",
            "localhost:5433",
            "[::1]:5433",
            "host;Password=evil",
            "host=evil",
            "'localhost'",
            "\"localhost\"",
            "localhost\0evil",
            "http://localhost",
            "user@localhost",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "[::ffff:a9fe:a9fe]",
            "2852039166",
            "0xA9FEA9FE",
            "0251.0376.0251.0376",
            "169.254.43518",
            "fe80::1",
            "fe80::1%1",
            "fd00:ec2::254",
            "0.0.0.0",
            "0",
            "::",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
            new string('a', 254),
        ];

    [Theory]
    [MemberData(nameof(RefusedHosts))]
    public Task A_host_that_is_not_one_ordinary_host_is_refused(string host) =>
        AssertRefusedAsync(row => row with { Host = host });

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(65536)]
    [InlineData(int.MaxValue)]
    public Task A_port_that_does_not_exist_is_refused(int port) => AssertRefusedAsync(row => row with { Port = port });

    [Theory]
    [InlineData(-1, 20)]
    [InlineData(0, 0)]
    [InlineData(0, -5)]
    [InlineData(21, 20)]
    [InlineData(0, 10_001)]
    [InlineData(0, int.MaxValue)]
    public Task An_absurd_pool_size_is_refused(int minimum, int maximum) =>
        AssertRefusedAsync(row => row with { MinPoolSize = minimum, MaxPoolSize = maximum });

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(0.5)]
    [InlineData(1025)]
    [InlineData(1e9)]
    public Task An_absurd_pool_timeout_is_refused(double seconds) =>
        AssertRefusedAsync(row => row with { PoolTimeout = TimeSpan.FromSeconds(seconds) });

    [Theory]
    [InlineData(-1)]
    [InlineData(3e9)]
    public Task An_absurd_recycle_time_is_refused(double seconds) =>
        AssertRefusedAsync(row => row with { PoolRecycle = TimeSpan.FromSeconds(seconds) });

    [Theory]
    [InlineData("")]
    [InlineData("a\0b")]
    public async Task Empty_names_and_names_with_a_NUL_are_refused(string name)
    {
        await AssertRefusedAsync(row => row with { Database = name });
        await AssertRefusedAsync(row => row with { Username = name });
    }

    [Fact]
    public Task A_password_with_a_NUL_is_refused() =>
        AssertRefusedAsync(row => row with { Password = Secret.FromText(Canary + "\0") });

    [Fact]
    public async Task All_faults_of_a_row_are_named_at_once()
    {
        var refused = await AssertRefusedAsync(row =>
            row with
            {
                Host = "a,b",
                Port = 0,
                Database = "",
                MaxPoolSize = 0,
            }
        );

        foreach (var part in new[] { "host", "port", "database name", "pool size" })
        {
            Assert.Contains(part, refused.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("x;Host=evil")]
    [InlineData("x';Host='evil")]
    [InlineData("a \"quoted\" = name; 'x'")]
    [InlineData("Ünïcødé 数据库")]
    public async Task A_database_name_is_a_name_whatever_it_holds(string database)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        database += RuntimeApp.NewName();
        await servers.Postgres.CreateDatabaseAsync(database, ct: Ct);
        var row = await app.AddDatabaseAsync(row => row with { Database = database });

        await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        await using var command = new NpgsqlCommand("SELECT current_database()", connection);
        Assert.Equal(database, await command.ExecuteScalarAsync(Ct));
        Assert.Equal(servers.Postgres.Host, connection.Host);
    }

    [Theory]
    [InlineData("x;Search Path=public")]
    [InlineData("x';Timeout=1;'")]
    [InlineData(" spaces and 'signs' \"=; ")]
    public async Task User_name_and_password_are_literal_whatever_they_hold(string text)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var template = await app.NewDatabaseAsync();
        var role = text + RuntimeApp.NewName();
        await app.DirectAsync(
            template,
            $"CREATE ROLE \"{role.Replace("\"", "\"\"", StringComparison.Ordinal)}\" LOGIN PASSWORD '{text.Replace("'", "''", StringComparison.Ordinal)}'"
        );
        app.Registry.Set(template with { Username = role, Password = Secret.FromText(text) });

        await using var connection = await app.Connections.OpenConnectionAsync(template.Name, Ct);

        await using var command = new NpgsqlCommand(
            "SELECT current_user || current_setting('search_path')",
            connection
        );
        Assert.Equal(role + SchemaName.Unbound, await command.ExecuteScalarAsync(Ct));
    }

    [Fact]
    public async Task A_host_that_is_not_listed_is_refused_and_one_that_is_works()
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?>
            {
                ["NeoCommons:Connections:AllowedHosts:0"] = servers.Postgres.Host,
                ["NeoCommons:Connections:AllowedHosts:1"] = "*.db.internal",
            }
        );
        var good = await app.AddDatabaseAsync();
        var bad = await app.AddDatabaseAsync(row => row with { Host = "db.elsewhere" });

        await using var connection = await app.Connections.OpenConnectionAsync(good.Name, Ct);
        var refused = await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await app.Connections.OpenConnectionAsync(bad.Name, Ct)
        );

        Assert.Equal(ConnectionUnavailableReason.InvalidConfiguration, refused.Reason);
        Assert.Contains("AllowedHosts", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("localhost")]
    [InlineData("127.0.0.1")]
    public async Task An_ordinary_host_is_taken(string host)
    {
        Assert.SkipUnless(servers.Postgres.Host is "127.0.0.1" or "localhost", "The server is on another machine.");
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { Host = host });

        await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        Assert.True(await RuntimeApp.PidAsync(connection) > 0);
    }

    private async Task<ConnectionUnavailableException> AssertRefusedAsync(
        Func<DatabaseConnection, DatabaseConnection> change
    )
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var good = await app.AddDatabaseAsync();
        var bad = change(good with { Name = RuntimeApp.NewName("bad"), Password = Secret.FromText(Canary) });
        app.Registry.Set(bad);
        app.Tenants.Set(
            new Tenant
            {
                Id = new TenantId(Guid.NewGuid()),
                Slug = "acme",
                Name = "acme",
                Schema = SchemaName.Parse("tenant_acme"),
                ConnectionName = bad.Name,
            }
        );

        ConnectionUnavailableException[] refusals =
        [
            await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
                await app.Connections.OpenConnectionAsync(bad.Name, Ct)
            ),
            await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
                await app.Connections.GetDataSourceAsync(bad.Name, Ct)
            ),
            await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
                await app.Contexts.CreateDbContextAsync("acme", Ct)
            ),
        ];

        foreach (var refusal in refusals)
        {
            Assert.Equal(ConnectionUnavailableReason.InvalidConfiguration, refusal.Reason);
            Assert.Equal(bad.Name, refusal.ConnectionName);
            Assert.Contains(bad.Name, refusal.Message, StringComparison.Ordinal);
            Assert.DoesNotContain(Canary, refusal.ToString(), StringComparison.Ordinal);
        }

        await using var other = await app.Connections.OpenConnectionAsync(good.Name, Ct);
        Assert.True(await RuntimeApp.PidAsync(other) > 0);
        return refusals[0];
    }
}
