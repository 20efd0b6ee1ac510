using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Testing.Tests;

public sealed class TcpFaultProxyTests(Servers servers) : IAsyncLifetime
{
    private readonly TcpFaultProxy _proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;
    private NpgsqlConnection _connection = null!;

    private string Address => _proxy.GetConnectionString(servers.Postgres.ConnectionString);

    public async ValueTask InitializeAsync()
    {
        _connection = await Sql.OpenAsync(Address);
        _proxy.ResetCounters();
    }

    public async ValueTask DisposeAsync()
    {
        await _proxy.DisposeAsync();
        await _connection.DisposeAsync();
    }

    [Fact]
    public async Task One_command_is_one_round_trip()
    {
        await RunAsync("SELECT 1");

        Assert.Equal(1, _proxy.Counters.RoundTrips);
    }

    [Fact]
    public async Task Two_commands_are_two_round_trips()
    {
        await RunAsync("SELECT 1");
        await RunAsync("SELECT 2");

        Assert.Equal(2, _proxy.Counters.RoundTrips);
    }

    [Fact]
    public async Task A_batch_is_one_round_trip()
    {
        await using var batch = new NpgsqlBatch(_connection)
        {
            BatchCommands = { new NpgsqlBatchCommand("SELECT 1"), new NpgsqlBatchCommand("SELECT 2") },
        };
        await batch.ExecuteNonQueryAsync(_ct);

        Assert.Equal(1, _proxy.Counters.RoundTrips);
    }

    [Fact]
    public async Task A_transaction_around_a_command_costs_one_more_because_BEGIN_travels_with_it()
    {
        await using (var transaction = await _connection.BeginTransactionAsync(_ct))
        {
            await RunAsync("SELECT 1");
            await transaction.CommitAsync(_ct);
        }

        Assert.Equal(2, _proxy.Counters.RoundTrips);
    }

    [Fact]
    public async Task An_answer_of_megabytes_is_one_round_trip_and_its_bytes_are_counted()
    {
        await RunAsync("SELECT repeat('x', 5000000)");

        Assert.Equal(1, _proxy.Counters.RoundTrips);
        Assert.InRange(_proxy.Counters.BytesToClient, 5_000_000, 5_100_000);
        Assert.InRange(_proxy.Counters.BytesToServer, 20, 1_000);
    }

    [Fact]
    public async Task A_message_that_the_server_sends_by_itself_is_no_round_trip()
    {
        await RunAsync("LISTEN news");
        _proxy.ResetCounters();

        await Sql.ScalarAsync(servers.Postgres.ConnectionString, "NOTIFY news");
        await _connection.WaitAsync(_ct);

        Assert.Equal(0, _proxy.Counters.RoundTrips);
        Assert.NotEqual(0, _proxy.Counters.BytesToClient);
    }

    [Fact]
    public async Task Round_trips_of_concurrent_connections_add_up_exactly()
    {
        await Task.WhenAll(
            Enumerable
                .Range(0, 8)
                .Select(async _ =>
                {
                    await using var connection = await Sql.OpenAsync(Address);
                    await using var command = new NpgsqlCommand("SELECT 1", connection);
                    for (var i = 0; i < 50; i++)
                    {
                        await command.ExecuteScalarAsync(_ct);
                    }
                })
        );

        var perStart = (await CountStartAsync()).RoundTrips;
        Assert.Equal(8 * (50 + perStart), _proxy.ResetCounters().RoundTrips - perStart);
    }

    [Fact]
    public async Task A_reset_returns_what_was_counted_and_starts_from_zero()
    {
        await RunAsync("SELECT 1");

        var before = _proxy.ResetCounters();

        Assert.Equal(1, before.RoundTrips);
        Assert.Equal(new TcpProxyCounters(0, 0, 0, 0, 1), _proxy.Counters);
    }

    [Fact]
    public async Task Latency_holds_the_request_and_the_answer_for_as_long_as_it_says()
    {
        var clock = new FakeTimeProvider();
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port, clock);
        await using var connection = await Sql.OpenAsync(proxy.GetConnectionString(servers.Postgres.ConnectionString));
        await using var command = new NpgsqlCommand("SELECT 1", connection);
        var latency = TimeSpan.FromHours(1);

        proxy.Latency = latency;
        var answer = command.ExecuteScalarAsync(_ct);
        var start = clock.GetUtcNow();
        while (!answer.IsCompleted)
        {
            clock.Advance(latency / 4);
            await Task.WhenAny(answer, Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, _ct));
        }

        Assert.Equal(1, await answer);
        Assert.True(clock.GetUtcNow() - start >= 2 * latency);
    }

    [Fact]
    public async Task Many_requests_under_way_wait_for_the_latency_once()
    {
        _proxy.Latency = TimeSpan.FromMilliseconds(5);
        _proxy.Jitter = TimeSpan.FromMilliseconds(5);
        await using var batch = new NpgsqlBatch(_connection);
        for (var i = 0; i < 1_000; i++)
        {
            batch.BatchCommands.Add(new NpgsqlBatchCommand("SELECT repeat('x', 1000)"));
        }

        var rows = 0;
        await using (var reader = await batch.ExecuteReaderAsync(_ct))
        {
            do
            {
                rows += await reader.ReadAsync(_ct) ? 1 : 0;
            } while (await reader.NextResultAsync(_ct));
        }

        Assert.Equal(1_000, rows);
    }

    [Fact]
    public async Task A_cut_breaks_open_connections_and_lets_new_ones_in()
    {
        _proxy.Cut();

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => RunAsync("SELECT 1"));
        Assert.Equal(1, await Sql.ScalarAsync(Address, "SELECT 1"));
    }

    [Fact]
    public async Task Refused_is_refused_until_restored_and_open_connections_stay()
    {
        _proxy.RefuseConnections();

        var refused = await Assert.ThrowsAsync<NpgsqlException>(() => Sql.OpenAsync(Address));
        var reason = Assert.IsType<SocketException>(refused.InnerException);
        Assert.Equal(SocketError.ConnectionRefused, reason.SocketErrorCode);
        await RunAsync("SELECT 1");

        _proxy.Restore();
        Assert.Equal(1, await Sql.ScalarAsync(Address, "SELECT 1"));
    }

    [Fact]
    public async Task In_a_black_hole_a_command_ends_by_its_token_only()
    {
        _proxy.Blackhole();
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(_ct);
        var command = ExecuteAsync("SELECT 1", timeout.Token);
        await Assert.ThrowsAsync<TimeoutException>(() => command.WaitAsync(TimeSpan.FromMilliseconds(200), _ct));

        await timeout.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => command);
        Assert.Equal(0, _proxy.Counters.RoundTrips);
    }

    [Fact]
    public async Task What_a_black_hole_held_is_delivered_when_it_ends()
    {
        _proxy.Blackhole();
        var command = RunAsync("SELECT 1");
        await Assert.ThrowsAsync<TimeoutException>(() => command.WaitAsync(TimeSpan.FromMilliseconds(200), _ct));

        _proxy.Restore();

        await command;
        Assert.Equal(1, _proxy.Counters.RoundTrips);
    }

    [Fact]
    public async Task A_lost_answer_leaves_the_work_done_and_the_client_in_the_dark()
    {
        var database = await servers.Postgres.CreateDatabaseAsync(ct: _ct);
        var direct = servers.Postgres.GetConnectionString(database);
        await Sql.ScalarAsync(direct, "CREATE TABLE done (at int)");
        await using var connection = await Sql.OpenAsync(_proxy.GetConnectionString(direct));
        await using var insert = new NpgsqlCommand("INSERT INTO done VALUES (1)", connection);

        _proxy.Blackhole(ProxyDirection.ToClient);
        var lost = insert.ExecuteNonQueryAsync(_ct);
        while (0L.Equals(await Sql.ScalarAsync(direct, "SELECT count(*) FROM done")))
        {
            _ct.ThrowIfCancellationRequested();
        }

        _proxy.Cut();

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => lost);
        Assert.Equal(1L, await Sql.ScalarAsync(direct, "SELECT count(*) FROM done"));
    }

    [Fact]
    public async Task A_server_that_is_not_there_breaks_the_connection_of_the_client()
    {
        await using var server = await PostgresServer.StartAsync(
            new PostgresServerOptions { Source = ServerSource.Binaries },
            _ct
        );
        await using var proxy = TcpFaultProxy.Start(server.Host, server.Port);
        var address = proxy.GetConnectionString(server.ConnectionString);

        await server.StopAsync(immediate: true, _ct);
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => Sql.OpenAsync(address));
        await server.StartAgainAsync(_ct);

        Assert.Equal(1, await Sql.ScalarAsync(address, "SELECT 1"));
    }

    [Fact]
    public async Task After_disposal_nobody_listens_and_nothing_is_open()
    {
        await _proxy.DisposeAsync();

        Assert.Equal(0, _proxy.Counters.OpenConnections);
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => Sql.OpenAsync(Address));
        Assert.Throws<ObjectDisposedException>(_proxy.Restore);
    }

    private Task<object?> RunAsync(string sql) => ExecuteAsync(sql, _ct);

    private async Task<object?> ExecuteAsync(string sql, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand(sql, _connection);
        return await command.ExecuteScalarAsync(ct);
    }

    private async Task<TcpProxyCounters> CountStartAsync()
    {
        var before = _proxy.Counters;
        await using var connection = await Sql.OpenAsync(Address);
        return _proxy.Counters with { RoundTrips = _proxy.Counters.RoundTrips - before.RoundTrips };
    }
}
