using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.StackExchangeRedis;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Polly;
using StackExchange.Redis;

namespace NeoCommons.EfCore.Admin;

/// <summary>What processes of an application share of the registry, in Redis: encrypted, sealed, and never relied on.</summary>
/// <remarks>
/// A value is a Fernet token of a key that is derived from the registry's, so that whoever reads Redis learns nothing and
/// whoever writes there is not believed. A Redis that fails or is slow is asked no more for a while.
/// </remarks>
internal sealed class SharedCache : IDisposable
{
    // Processes of another version of the library read it too.
    private static readonly JsonSerializerOptions Json = new()
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    private const string Purpose = "NeoCommons registry cache";

    /// <summary>How long the admin database is waited for where there is a value; its answer still comes in.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);

    private readonly RedisCache? _cache;
    private readonly AdminDatabase _database;
    private readonly EncryptionKeys _keys;
    private readonly RegistryMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger<SharedCache> _log;
    private readonly ResiliencePipeline _asking;
    private readonly TimeSpan _longest;

    // What is being read of which something is known, behind an answer or before it.
    private readonly ConcurrentDictionary<string, bool> _late = new(StringComparer.Ordinal);
    private FernetKeys? _derived;

    public SharedCache(
        IOptions<RegistryCacheOptions> options,
        IOptions<AdminDatabaseOptions> admin,
        AdminDatabase database,
        EncryptionKeys keys,
        RegistryMetrics metrics,
        TimeProvider time,
        ILogger<SharedCache> log
    )
    {
        (_keys, _metrics, _time, _log, _database) = (keys, metrics, time, log, database);
        _cache = options.Value.ConnectionString is null ? null : new RedisCache(RedisAddress.Configure(options.Value));
        _longest = admin.Value.LastKnownGoodFor < MostLasting ? admin.Value.LastKnownGoodFor : MostLasting;
        _asking = SharedCacheGuard.Build(options.Value, time, log);
    }

    /// <summary>Half of what the log of changes keeps, by which a value is told to be out of date.</summary>
    private static TimeSpan MostLasting => RegistryChangeLog.Retention / 2;

    /// <summary>Whether there is one.</summary>
    public bool IsOn => _cache is not null;

    /// <summary>How old a value can be; zero where nothing is shared.</summary>
    public TimeSpan Longest => IsOn ? _longest : TimeSpan.Zero;

    /// <summary>What processes share, else what is loaded; where that fails or hangs, what they share, however old it is.</summary>
    /// <param name="key">Its key.</param>
    /// <param name="youngFor">Up to which age a shared value is not asked for anew.</param>
    /// <param name="mayBeStale">Whether a shared value may have changed since.</param>
    /// <param name="load">Reads it from the admin database.</param>
    /// <param name="positionOf">What a value that was read knows.</param>
    /// <param name="ct">Cancels.</param>
    public async Task<SharedAnswer<T>> FindOrLoadAsync<T>(
        string key,
        TimeSpan youngFor,
        Func<T, RowPosition, bool> mayBeStale,
        Func<CancellationToken, Task<T?>> load,
        Func<T, RowPosition> positionOf,
        CancellationToken ct
    )
        where T : class
    {
        var shared = await FindAsync<T>(key, ct).ConfigureAwait(false);
        if (shared is not null && mayBeStale(shared.Value, shared.Position))
        {
            _metrics.AskedShared("stale");
            shared = null;
        }
        else if (shared is not null)
        {
            _metrics.AskedShared("hit");
            if (AgeOf(shared) < youngFor && AgeOf(shared) < TenantCache.Longest)
            {
                return new(shared.Value, AgeOf(shared), IsShared: true);
            }
        }

        // Of a database that hangs each is asked for once, however often somebody looks.
        if (shared is not null && !_late.TryAdd(key, true))
        {
            return LastKnown(shared);
        }

        var began = _time.GetUtcNow();
        try
        {
            var loading = LoadAsync().LetGo();
            var loaded = await (shared is null ? loading : loading.WaitAsync(Patience, _time, ct)).ConfigureAwait(
                false
            );
            return new(loaded, (_time.GetUtcNow() - began).Duration());
        }
        catch (Exception)
            when (shared is not null && !mayBeStale(shared.Value, shared.Position) && !ct.IsCancellationRequested)
        {
            return LastKnown(shared);
        }

        // An answer that nobody has waited for is there for the next who asks.
        async Task<T?> LoadAsync()
        {
            try
            {
                var loaded = await load(ct).ConfigureAwait(false);
                if (loaded is not null)
                {
                    Keep(key, loaded, positionOf(loaded), began);
                }

                return loaded;
            }
            finally
            {
                if (shared is not null)
                {
                    _late.TryRemove(key, out _);
                }
            }
        }

        SharedAnswer<T> LastKnown(SharedValue<T> value) =>
            new(value.Value, AgeOf(value), IsShared: true, IsLastKnown: true);
    }

    /// <summary>Keeps a value for all processes; nobody waits for it, and it may fail.</summary>
    /// <param name="key">Its key.</param>
    /// <param name="value">The value.</param>
    /// <param name="position">What it knows.</param>
    /// <param name="readAt">When the admin database was asked.</param>
    public void Keep<T>(string key, T value, RowPosition position, DateTimeOffset readAt)
        where T : class
    {
        if (_cache is not null)
        {
            _ = KeepAsync(_cache, new SharedValue<T>(key, position, readAt, value));
        }
    }

    public void Dispose() => _cache?.Dispose();

    /// <summary>Finds a value; null where there is none that can be believed, or Redis does not answer in time.</summary>
    private async Task<SharedValue<T>?> FindAsync<T>(string key, CancellationToken ct)
        where T : class
    {
        if (_cache is null)
        {
            return null;
        }

        byte[]? token;
        FernetKeys keys;
        try
        {
            (keys, token) = await _asking
                .ExecuteAsync(
                    async limit =>
                    {
                        var keys = await KeysAsync(limit).ConfigureAwait(false);
                        return (keys, await ReadAsync(_cache, NameOf(keys, key), limit).ConfigureAwait(false));
                    },
                    ct
                )
                .ConfigureAwait(false);
        }
        catch (Exception) when (!ct.IsCancellationRequested)
        {
            _metrics.AskedShared("failed");
            return null;
        }

        if (token is null)
        {
            _metrics.AskedShared("miss");
            return null;
        }

        var (value, fault) = Open<T>(keys, key, token);
        if (value is not null && AgeOf(value) > _longest)
        {
            // Redis has dropped it long ago, and the log of changes may not tell any more what happened since.
            (value, fault) = (null, "it is older than Redis keeps any: somebody has put it back");
        }

        if (value is null)
        {
            _metrics.AskedShared("rejected");
            RegistryLogMessages.SharedValueRejected(_log, fault!);
        }

        return value;
    }

    // The clocks of machines differ a little.
    private TimeSpan AgeOf<T>(SharedValue<T> value) => (_time.GetUtcNow() - value.ReadAt).Duration();

    private static async Task<byte[]?> ReadAsync(RedisCache cache, string name, CancellationToken limit)
    {
        try
        {
            // Past the client's own patience: it would wait for seconds.
            return await cache.GetAsync(name, limit).LetGo().WaitAsync(limit).ConfigureAwait(false);
        }
        catch (Exception e) when (IsOfTheValue(e))
        {
            // Written over it cannot be.
            await cache.RemoveAsync(name, limit).LetGo().WaitAsync(limit).ConfigureAwait(false);
            return [];
        }
    }

    // Redis answers, and somebody else has written something of another kind.
    private static bool IsOfTheValue(Exception e) =>
        e is InvalidCastException or FormatException or ArgumentException
        || (e is RedisServerException && e.Message.StartsWith("WRONGTYPE", StringComparison.Ordinal));

    private async Task KeepAsync<T>(RedisCache cache, SharedValue<T> value)
    {
        try
        {
            var keys = await KeysAsync(CancellationToken.None).ConfigureAwait(false);
            var text = JsonSerializer.SerializeToUtf8Bytes(value, Json);
            var token = Encoding.ASCII.GetBytes(Fernet.Encrypt(keys.Primary, text, value.ReadAt));
            var lifetime = new DistributedCacheEntryOptions { AbsoluteExpirationRelativeToNow = _longest };
            await _asking
                .ExecuteAsync(
                    async limit =>
                        await cache
                            .SetAsync(NameOf(keys, value.Key), token, lifetime, limit)
                            .LetGo()
                            .WaitAsync(limit)
                            .ConfigureAwait(false),
                    CancellationToken.None
                )
                .ConfigureAwait(false);
        }
        catch (Exception)
        {
            // The circuit has logged it; whoever looks next asks the admin database.
        }
    }

    private async ValueTask<FernetKeys> KeysAsync(CancellationToken ct) =>
        _derived ??= (await _keys.GetAsync(ct).ConfigureAwait(false)).Derive(Purpose);

    // Not the slug itself: who reads Redis does not learn the customers' names.
    private string NameOf(FernetKeys keys, string key) =>
        Convert.ToHexStringLower(
            HMACSHA256.HashData(
                keys.Primary.Signing,
                Encoding.UTF8.GetBytes($"{_database.Row.Host}\n{_database.Row.Port}\n{_database.Row.Database}\n{key}")
            )[..16]
        );

    private static (SharedValue<T>? Value, string? Fault) Open<T>(FernetKeys keys, string key, byte[] token)
    {
        var result = Fernet.Decrypt(keys, Encoding.ASCII.GetString(token), out var text);
        if (result != FernetResult.Ok)
        {
            return (null, "it is not sealed with this registry's key");
        }

        try
        {
            var value = JsonSerializer.Deserialize<SharedValue<T>>(text, Json);
            return value is not { Value: not null } ? (null, "it is empty")
                : value.Key == key ? (value, null)
                : (null, "it is another key's");
        }
        catch (Exception e) when (e is JsonException or NeoCommonsException or NotSupportedException)
        {
            return (null, "it is of another kind, or another version of the library has written it");
        }
    }
}
