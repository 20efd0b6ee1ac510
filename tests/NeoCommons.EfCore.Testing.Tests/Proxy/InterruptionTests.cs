using Npgsql;

namespace NeoCommons.EfCore.Testing.Tests;

/// <summary>A fault at an exact place of the conversation.</summary>
public sealed class InterruptionTests(Servers servers) : IAsyncLifetime
{
    private readonly TcpFaultProxy _proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;
    private NpgsqlConnection _connection = null!;

    public async ValueTask InitializeAsync()
    {
        var database = await servers.Postgres.CreateDatabaseAsync(ct: _ct);
        _connection = await Sql.OpenAsync(_proxy.GetConnectionString(servers.Postgres.GetConnectionString(database)));
        await RunAsync("CREATE TABLE done (at int)");
    }

    public async ValueTask DisposeAsync()
    {
        await _proxy.DisposeAsync();
        await _connection.DisposeAsync();
    }

    [Theory]
    [InlineData(ProxyDirection.ToServer, 0L)]
    [InlineData(ProxyDirection.ToClient, 1L)]
    public async Task A_cut_before_a_piece_loses_the_request_or_only_its_answer(ProxyDirection direction, long done)
    {
        var cut = _proxy.BeforePiece(2, direction, CutAsync);
        await RunAsync("SELECT 1");
        Assert.False(cut.IsCompleted);

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => RunAsync("INSERT INTO done VALUES (1)"));

        await cut;
        await _connection.OpenAsync(_ct);
        Assert.Equal(done, await RunAsync("SELECT count(*) FROM done"));
    }

    [Fact]
    public async Task Every_place_of_a_torn_message_is_reached_and_the_last_one_is_past_its_end()
    {
        var sql = "SELECT '" + new string('x', 100) + "'";
        _proxy.PieceSize = 10;
        var reached = 0;
        for (var number = 1; ; number++)
        {
            var cut = _proxy.BeforePiece(number, ProxyDirection.ToServer, CutAsync);
            try
            {
                await RunAsync(sql);
            }
            catch (NpgsqlException)
            {
                await _connection.OpenAsync(_ct);
            }

            if (!cut.IsCompleted)
            {
                break;
            }

            reached++;
        }

        Assert.True(reached >= 10, $"{reached}");
    }

    [Fact]
    public async Task A_piece_waits_for_the_callback_and_then_goes_on()
    {
        object? seen = null;
        var acted = _proxy.BeforePiece(
            1,
            ProxyDirection.Both,
            async () => seen = await Sql.ScalarAsync(servers.Postgres.ConnectionString, "SELECT 2")
        );

        Assert.Equal(1, await RunAsync("SELECT 1"));

        await acted;
        Assert.Equal(2, seen);
    }

    [Fact]
    public async Task A_callback_that_was_replaced_or_restored_away_is_never_called()
    {
        var first = _proxy.BeforePiece(1, ProxyDirection.Both, () => throw new ArithmeticException("first"));
        var second = _proxy.BeforePiece(1, ProxyDirection.Both, () => throw new ArithmeticException("second"));
        _proxy.Restore();

        Assert.Equal(1, await RunAsync("SELECT 1"));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
    }

    [Fact]
    public async Task What_a_callback_throws_is_its_callers_and_the_piece_goes_on()
    {
        var thrown = _proxy.BeforePiece(1, ProxyDirection.ToServer, () => throw new ArithmeticException("thrown"));

        Assert.Equal(1, await RunAsync("SELECT 1"));

        await Assert.ThrowsAsync<ArithmeticException>(() => thrown);
    }

    private Task CutAsync()
    {
        _proxy.Cut();
        return Task.CompletedTask;
    }

    private async Task<object?> RunAsync(string sql)
    {
        await using var command = new NpgsqlCommand(sql, _connection);
        return await command.ExecuteScalarAsync(_ct);
    }
}
