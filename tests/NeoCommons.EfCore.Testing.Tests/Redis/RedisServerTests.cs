using StackExchange.Redis;

namespace NeoCommons.EfCore.Testing.Tests;

public class RedisServerTests
{
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Fact]
    public async Task It_answers_under_its_connection_string()
    {
        await using var server = await RedisServer.StartAsync(ct: _ct);
        await using var redis = await ConnectionMultiplexer.ConnectAsync(server.ConnectionString);

        Assert.True(await redis.GetDatabase().StringSetAsync("key", "value"));
        Assert.Equal("value", await redis.GetDatabase().StringGetAsync("key"));
        Assert.Equal($"redis://{server.Host}:{server.Port}", server.Url);
    }

    [Fact]
    public async Task A_password_is_asked_for_and_stands_in_both_addresses()
    {
        await using var server = await RedisServer.StartAsync(OwnWith("pa\"ss\\wörd"), _ct);

        await using var redis = await ConnectionMultiplexer.ConnectAsync(server.ConnectionString);
        await redis.GetDatabase().PingAsync();

        Assert.Equal("pa\"ss\\wörd", Uri.UnescapeDataString(new Uri(server.Url).UserInfo[1..]));
        await Assert.ThrowsAsync<RedisConnectionException>(() =>
            ConnectionMultiplexer.ConnectAsync($"{server.Host}:{server.Port},connectRetry=1")
        );
    }

    [Fact]
    public async Task Started_again_it_is_empty_and_on_the_same_port()
    {
        await using var server = await RedisServer.StartAsync(OwnWith(null), _ct);
        await using (var redis = await ConnectionMultiplexer.ConnectAsync(server.ConnectionString))
        {
            await redis.GetDatabase().StringSetAsync("key", "value");
        }

        await server.StopAsync(_ct);
        await Assert.ThrowsAsync<RedisConnectionException>(() =>
            ConnectionMultiplexer.ConnectAsync(server.ConnectionString + ",connectRetry=1")
        );
        await server.StartAgainAsync(_ct);

        await using var again = await ConnectionMultiplexer.ConnectAsync(server.ConnectionString);
        Assert.False(await again.GetDatabase().KeyExistsAsync("key"));
    }

    [Fact]
    public async Task A_frozen_server_answers_when_it_thaws()
    {
        await using var server = await RedisServer.StartAsync(OwnWith(null), _ct);
        await using var redis = await ConnectionMultiplexer.ConnectAsync(
            server.ConnectionString + ",asyncTimeout=60000,syncTimeout=60000"
        );

        server.Freeze();
        var answer = redis.GetDatabase().PingAsync();
        await Assert.ThrowsAsync<TimeoutException>(() => answer.WaitAsync(TimeSpan.FromMilliseconds(200), _ct));
        server.Unfreeze();

        await answer;
    }

    [Fact]
    public async Task A_frozen_server_is_disposed_like_any_other()
    {
        var server = await RedisServer.StartAsync(OwnWith(null), _ct);
        server.Freeze();

        await server.DisposeAsync();

        await Assert.ThrowsAsync<RedisConnectionException>(() =>
            ConnectionMultiplexer.ConnectAsync(server.ConnectionString + ",connectRetry=1")
        );
    }

    private static RedisServerOptions OwnWith(string? password) =>
        new() { Source = ServerSource.Binaries, Password = password };
}
