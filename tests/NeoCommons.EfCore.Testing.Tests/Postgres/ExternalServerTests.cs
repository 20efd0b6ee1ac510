namespace NeoCommons.EfCore.Testing.Tests;

public sealed class ExternalServerTests : IDisposable
{
    private const string Postgres = "NEO_TEST_POSTGRES";
    private const string Redis = "NEO_TEST_REDIS";

    private readonly string? _postgres = Environment.GetEnvironmentVariable(Postgres);
    private readonly string? _redis = Environment.GetEnvironmentVariable(Redis);
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    public void Dispose()
    {
        Environment.SetEnvironmentVariable(Postgres, _postgres);
        Environment.SetEnvironmentVariable(Redis, _redis);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_external_server_is_used_as_it_is_and_left_running_without_our_databases(bool asUrl)
    {
        await using var theirs = await PostgresServer.StartAsync(
            new PostgresServerOptions { Source = ServerSource.Binaries, Password = "p@ss/w:rd" },
            _ct
        );
        var url = $"postgresql://postgres:p%40ss%2Fw%3Ard@{theirs.Host}:{theirs.Port}/postgres?sslmode=disable";
        Environment.SetEnvironmentVariable(Postgres, asUrl ? url : theirs.ConnectionString);

        var server = await PostgresServer.StartAsync(new PostgresServerOptions { Source = ServerSource.External }, _ct);
        var database = await server.CreateDatabaseAsync(ct: _ct);
        Assert.Equal(
            database,
            await Sql.ScalarAsync(server.GetConnectionString(database), "SELECT current_database()")
        );
        Assert.Null(server.DataDirectory);
        await Assert.ThrowsAsync<NotSupportedException>(() => server.StopAsync(ct: _ct));
        await server.DisposeAsync();

        var sql = $"SELECT count(*) FROM pg_database WHERE datname = '{database}'";
        Assert.Equal(0L, await Sql.ScalarAsync(theirs.ConnectionString, sql));
    }

    [Fact]
    public async Task Without_the_variable_there_is_no_external_server()
    {
        Environment.SetEnvironmentVariable(Postgres, null);

        var missing = await Assert.ThrowsAsync<ServerNotFoundException>(() =>
            PostgresServer.StartAsync(new PostgresServerOptions { Source = ServerSource.External }, _ct)
        );

        Assert.Contains(Postgres, missing.Message);
    }

    [Fact]
    public async Task A_malformed_address_is_reported_without_the_password_in_it()
    {
        Environment.SetEnvironmentVariable(Postgres, "postgresql://user:hunter2@:nonsense");

        var malformed = await Assert.ThrowsAsync<ArgumentException>(() =>
            PostgresServer.StartAsync(new PostgresServerOptions { Source = ServerSource.External }, _ct)
        );

        Assert.DoesNotContain("hunter2", malformed.ToString());
    }

    [Theory]
    [InlineData("redis://:pa%2Css@example.test:6380", "example.test", 6380, "example.test:6380,password=pa,ss")]
    [InlineData("example.test:6380,password=secret", "example.test", 6380, "example.test:6380,password=secret")]
    [InlineData("example.test", "example.test", 6379, "example.test:6379")]
    public async Task An_external_Redis_is_named_by_a_URL_or_by_host_and_port(
        string variable,
        string host,
        int port,
        string connectionString
    )
    {
        Environment.SetEnvironmentVariable(Redis, variable);

        await using var server = await RedisServer.StartAsync(
            new RedisServerOptions { Source = ServerSource.External },
            _ct
        );

        Assert.Equal((host, port, connectionString), (server.Host, server.Port, server.ConnectionString));
        Assert.Throws<NotSupportedException>(server.Freeze);
    }
}
