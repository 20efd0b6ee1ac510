using Npgsql;

namespace NeoCommons.EfCore.Testing.Tests;

public class PostgresServerTests(Servers servers)
{
    private readonly PostgresServer _server = servers.Postgres;
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_started_server_answers_and_tells_its_version()
    {
        var version = await Sql.ScalarAsync(_server.ConnectionString, "SELECT current_setting('server_version_num')");

        Assert.Equal(_server.MajorVersion, int.Parse((string)version!) / 10_000);
        Assert.Equal("postgres", await Sql.ScalarAsync(_server.ConnectionString, "SELECT current_database()"));
    }

    [Fact]
    public async Task A_database_is_created_under_a_random_name_and_dropped_with_connections_open()
    {
        var name = await _server.CreateDatabaseAsync(ct: _ct);
        await using var open = await Sql.OpenAsync(_server.GetConnectionString(name));

        await _server.DropDatabaseAsync(name, _ct);

        var gone = await Assert.ThrowsAsync<PostgresException>(() => Sql.OpenAsync(_server.GetConnectionString(name)));
        Assert.Equal(PostgresErrorCodes.InvalidCatalogName, gone.SqlState);
    }

    [Fact]
    public async Task A_database_name_is_taken_literally()
    {
        var name = await _server.CreateDatabaseAsync("Odd \"name\"; with spaces", ct: _ct);

        Assert.Equal(name, await Sql.ScalarAsync(_server.GetConnectionString(name), "SELECT current_database()"));
        await _server.DropDatabaseAsync(name, _ct);
        await _server.DropDatabaseAsync(name, _ct);
    }

    [Fact]
    public async Task Twenty_databases_are_created_at_once()
    {
        var names = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => _server.CreateDatabaseAsync(ct: _ct)));

        Assert.Equal(20, names.Distinct().Count());
        await Task.WhenAll(names.Select(name => _server.DropDatabaseAsync(name, _ct)));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("wrong")]
    public async Task Nobody_enters_without_the_password(string? password)
    {
        var builder = new NpgsqlConnectionStringBuilder(_server.ConnectionString) { Password = password };

        var refused = await Assert.ThrowsAnyAsync<NpgsqlException>(() => Sql.OpenAsync(builder.ConnectionString));

        Assert.True(refused is not PostgresException { SqlState: not PostgresErrorCodes.InvalidPassword });
    }

    [Fact]
    public async Task The_password_travels_as_SCRAM_only()
    {
        var scram = new NpgsqlConnectionStringBuilder(_server.ConnectionString) { RequireAuth = "ScramSHA256" };

        Assert.Equal(1, await Sql.ScalarAsync(scram.ConnectionString, "SELECT 1"));
    }

    [Theory]
    [InlineData(null, 1)]
    [InlineData("it's \"mine\"", 2)]
    public async Task A_password_that_is_hashed_less_often_is_still_needed_and_travels_as_SCRAM(
        string? password,
        int iterations
    )
    {
        await using var server = await PostgresServer.StartAsync(
            new()
            {
                Source = ServerSource.Binaries,
                Password = password,
                ScramIterations = iterations,
            },
            _ct
        );
        var scram = new NpgsqlConnectionStringBuilder(server.ConnectionString) { RequireAuth = "ScramSHA256" };
        var wrong = new NpgsqlConnectionStringBuilder(server.ConnectionString) { Password = "wrong" };

        Assert.StartsWith(
            $"SCRAM-SHA-256${iterations}:",
            (string?)
                await Sql.ScalarAsync(
                    scram.ConnectionString,
                    "SELECT rolpassword FROM pg_authid WHERE rolname = current_user"
                ),
            StringComparison.Ordinal
        );
        var refused = await Assert.ThrowsAsync<PostgresException>(() => Sql.OpenAsync(wrong.ConnectionString));
        Assert.Equal(PostgresErrorCodes.InvalidPassword, refused.SqlState);
    }

    [Fact]
    public async Task A_password_that_is_not_ASCII_is_hashed_as_the_server_does_it()
    {
        await using var server = await PostgresServer.StartAsync(
            new()
            {
                Source = ServerSource.Binaries,
                Password = "schlüssel",
                ScramIterations = 1,
            },
            _ct
        );

        Assert.StartsWith(
            "SCRAM-SHA-256$4096:",
            (string?)
                await Sql.ScalarAsync(
                    server.ConnectionString,
                    "SELECT rolpassword FROM pg_authid WHERE rolname = current_user"
                ),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task To_hash_a_password_less_than_once_is_refused() =>
        Assert.Contains(
            "ScramIterations is 0",
            (
                await Assert.ThrowsAsync<ArgumentException>(() =>
                    PostgresServer.StartAsync(new() { ScramIterations = 0 }, _ct)
                )
            ).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public async Task Two_servers_run_side_by_side_with_ports_and_passwords_of_their_own()
    {
        await using var other = await StartOwnAsync();

        Assert.NotEqual(_server.Port, other.Port);
        Assert.NotEqual(_server.Password, other.Password);
        Assert.NotEqual(_server.DataDirectory, other.DataDirectory);
    }

    [Fact]
    public async Task Options_reach_the_server()
    {
        await using var server = await PostgresServer.StartAsync(
            new PostgresServerOptions
            {
                Source = ServerSource.Binaries,
                Username = "Chief Engineer",
                Password = "it's \"secret\" \\ ünïcode",
                MaxConnections = 17,
                Settings = { ["fsync"] = "on", ["wal_level"] = "logical" },
            },
            _ct
        );

        Assert.Equal("Chief Engineer", await Sql.ScalarAsync(server.ConnectionString, "SELECT current_user::text"));
        Assert.Equal("17", await Sql.ScalarAsync(server.ConnectionString, "SHOW max_connections"));
        Assert.Equal("on", await Sql.ScalarAsync(server.ConnectionString, "SHOW fsync"));
        Assert.Equal("logical", await Sql.ScalarAsync(server.ConnectionString, "SHOW wal_level"));
    }

    [Fact]
    public async Task A_setting_that_the_server_rejects_fails_with_the_servers_own_words()
    {
        var options = new PostgresServerOptions
        {
            Source = ServerSource.Binaries,
            Settings = { ["no_such_setting"] = "1" },
        };

        var failed = await Assert.ThrowsAsync<ServerStartException>(() => PostgresServer.StartAsync(options, _ct));

        Assert.Contains("no_such_setting", failed.Log);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Committed_data_survive_a_stop_and_the_port_stays(bool immediate)
    {
        await using var server = await StartOwnAsync();
        var port = server.Port;
        await Sql.ScalarAsync(server.ConnectionString, "CREATE TABLE kept AS SELECT 42 AS answer");

        await server.StopAsync(immediate, _ct);
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => Sql.OpenAsync(server.ConnectionString));
        await server.StartAgainAsync(_ct);

        Assert.Equal(port, server.Port);
        Assert.Equal(42, await Sql.ScalarAsync(server.ConnectionString, "SELECT answer FROM kept"));
        await server.RestartAsync(immediate, _ct);
        Assert.Equal(42, await Sql.ScalarAsync(server.ConnectionString, "SELECT answer FROM kept"));
    }

    [Fact]
    public async Task Stopping_the_stopped_and_starting_the_started_change_nothing()
    {
        await using var server = await StartOwnAsync();
        var started = await Sql.ScalarAsync(server.ConnectionString, "SELECT pg_postmaster_start_time()");

        await server.StartAgainAsync(_ct);

        Assert.Equal(started, await Sql.ScalarAsync(server.ConnectionString, "SELECT pg_postmaster_start_time()"));
        await server.StopAsync(ct: _ct);
        await server.StopAsync(ct: _ct);
    }

    [Fact]
    public async Task Nothing_is_left_after_disposal()
    {
        var server = await StartOwnAsync();
        var data = server.DataDirectory;
        Assert.True(Directory.Exists(data));

        await server.DisposeAsync();
        await server.DisposeAsync();

        Assert.False(Directory.Exists(Path.GetDirectoryName(data)));
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => Sql.OpenAsync(server.ConnectionString));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => server.StartAgainAsync(_ct));
    }

    [Fact]
    public async Task Only_its_owner_can_enter_the_data_folder()
    {
        await using var server = await StartOwnAsync();

        var mode = OperatingSystem.IsWindows() ? default : File.GetUnixFileMode(server.DataDirectory!);

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, mode);
    }

    [Fact]
    public async Task A_missing_server_is_reported_with_what_was_looked_for_and_what_to_do()
    {
        var options = new PostgresServerOptions { BinDirectory = "/nowhere/at/all" };

        var missing = await Assert.ThrowsAsync<ServerNotFoundException>(() => PostgresServer.StartAsync(options, _ct));

        Assert.Equal("PostgreSQL", missing.Server);
        Assert.Contains("/nowhere/at/all", missing.Message);
        Assert.Contains("apt-get install postgresql", missing.Message);
    }

    private Task<PostgresServer> StartOwnAsync() =>
        PostgresServer.StartAsync(new PostgresServerOptions { Source = ServerSource.Binaries }, _ct);
}
