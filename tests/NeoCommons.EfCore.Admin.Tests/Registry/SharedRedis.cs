using NeoCommons.EfCore.Testing;
using StackExchange.Redis;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>What lies in a Redis, as somebody sees and changes it who has no key.</summary>
internal static class SharedRedis
{
    public static async Task<IReadOnlyDictionary<string, string>> ReadAllAsync(this RedisServer redis)
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync(redis.ConnectionString);
        var all = new Dictionary<string, string>();
        foreach (var key in connection.GetServer(redis.Host, redis.Port).Keys())
        {
            all[key!] = (string?)await connection.GetDatabase().HashGetAsync(key, "data") ?? "";
        }

        return all;
    }

    public static async Task WriteAllAsync(this RedisServer redis, IReadOnlyDictionary<string, string> all)
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync(redis.ConnectionString);
        foreach (var (key, value) in all)
        {
            await connection.GetDatabase().HashSetAsync(key, "data", value);
        }
    }

    /// <summary>How long the longest-lived value has left; null where one has no end.</summary>
    public static async Task<TimeSpan?> LongestLifeAsync(this RedisServer redis)
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync(redis.ConnectionString);
        TimeSpan? longest = TimeSpan.Zero;
        foreach (var key in connection.GetServer(redis.Host, redis.Port).Keys())
        {
            var left = await connection.GetDatabase().KeyTimeToLiveAsync(key);
            longest =
                left is null || longest is null
                    ? null
                    : TimeSpan.FromTicks(Math.Max(left.Value.Ticks, longest.Value.Ticks));
        }

        return longest;
    }
}
