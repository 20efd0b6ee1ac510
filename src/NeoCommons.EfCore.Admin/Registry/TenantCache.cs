using System.Diagnostics;
using System.Runtime.ExceptionServices;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;
using ZiggyCreatures.Caching.Fusion;

namespace NeoCommons.EfCore.Admin;

/// <summary>The tenants in use, in memory: bounded, one load per tenant however many ask at once, and never what is known to have changed.</summary>
/// <remarks>That there is no such tenant is remembered briefly; while a load fails or hangs, what was known last is served.</remarks>
internal sealed class TenantCache : IDisposable
{
    /// <summary>How long a tenant is answered from memory where changes are followed: it should not matter.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromMinutes(10);

    /// <summary>How long holds that there is no such tenant, or what may have changed.</summary>
    private static readonly TimeSpan Briefly = TimeSpan.FromSeconds(1);

    /// <summary>How long what was known last is served before it is asked for again.</summary>
    private static readonly TimeSpan LongestThrottle = TimeSpan.FromSeconds(5);

    private readonly AdminDatabaseOptions _options;
    private readonly FusionCache _cache;
    private readonly TenantKeys _keys = new();

    // Nothing is written between "a tenant has changed" and its removal.
    private readonly Lock _forgetting = new();
    private long _changes;
    private volatile bool _isFollowed;

    public TenantCache(IOptions<AdminDatabaseOptions> options)
    {
        _options = options.Value;

        // Apart from the application's own so that its bound is ours; a tenant is found by id and by slug: two entries.
        Memory = new(new MemoryCacheOptions { SizeLimit = 2L * _options.CachedTenants });
        _cache = new FusionCache(
            new FusionCacheOptions
            {
                CacheName = "neocommons-tenants",
                DefaultEntryOptions = new FusionCacheEntryOptions
                {
                    IsFailSafeEnabled = true,
                    FailSafeMaxDuration = _options.LastKnownGoodFor,
                    FailSafeThrottleDuration = Shorter(_options.RefreshInterval, LongestThrottle),
                    FactorySoftTimeout = SharedCache.Patience,
                    Size = 1,
                },
            },
            Memory
        );

        // The cache's own log tells every operation; this is the one that an operator must know.
        _cache.Events.FailSafeActivate += (_, _) => LastKnownServed?.Invoke();
    }

    /// <summary>Called where a tenant is served as it was known last.</summary>
    public event Action? LastKnownServed;

    public MemoryCache Memory { get; }

    /// <summary>Whether changes are followed, so that what is in memory holds until one is heard of.</summary>
    public bool IsFollowed
    {
        get => _isFollowed;
        set => _isFollowed = value;
    }

    /// <summary>How long a tenant that is read now may be answered from memory.</summary>
    public TimeSpan Duration =>
        !_isFollowed || _options.RefreshInterval > Longest
            ? _options.RefreshInterval
            : Shorter(_options.LastKnownGoodFor, Longest);

    /// <summary>How many changes were heard of: what is read is out of date if there was one meanwhile.</summary>
    public long Changes => Interlocked.Read(ref _changes);

    public string KeyOf(TenantId id) => _keys.Of(id);

    public MaybeValue<Tenant?> Find(string key, CancellationToken ct) => _cache.TryGet<Tenant?>(key, token: ct);

    /// <summary>Finds a tenant or loads it; a caller's token ends his waiting, not the load, which others may share.</summary>
    /// <param name="key">Its key.</param>
    /// <param name="find">Loads it, and says how many changes had been heard of before.</param>
    /// <param name="ct">Cancels.</param>
    public ValueTask<Tenant?> FindOrLoadAsync(
        string key,
        Func<CancellationToken, Task<(SharedAnswer<TenantRow> Found, long Seen)>> find,
        CancellationToken ct
    )
    {
        var began = Stopwatch.GetTimestamp();
        var finding = _cache.GetOrSetAsync<Tenant?>(
            key,
            async (entry, token) =>
            {
                var (found, seen) = await FindOnceAsync(key, began, find, token).ConfigureAwait(false);
                var tenant = found.Value?.ToTenant();
                if (found.IsLastKnown)
                {
                    LastKnownServed?.Invoke();
                }

                Keep(key, tenant, found, seen, entry.Options);
                entry.Options.SkipMemoryCacheWrite = true;
                return tenant;
            },
            token: CancellationToken.None
        );
        return finding.IsCompletedSuccessfully ? finding : new(finding.AsTask().LetGo().WaitAsync(ct));
    }

    /// <summary>Forgets all, of which any may have changed; it is still served while it cannot be asked for.</summary>
    public void DropAll()
    {
        lock (_forgetting)
        {
            _changes++;
            _cache.Clear(allowFailSafe: true);
        }
    }

    /// <summary>Forgets a tenant that has changed: what it was is not served any more, whatever happens.</summary>
    public void Drop(TenantId id, IEnumerable<string> slugs)
    {
        lock (_forgetting)
        {
            // A load that began before must not bring back what it read.
            _changes++;
            _cache.Remove(_keys.Of(id));
            foreach (var slug in slugs)
            {
                _cache.Remove(slug);
            }
        }
    }

    public void Dispose()
    {
        _cache.Dispose();
        Memory.Dispose();
    }

    /// <summary>
    /// A failure is that of all who were waiting: each of them would have one timeout after the other.
    /// </summary>
    private async Task<(SharedAnswer<TenantRow> Found, long Seen)> FindOnceAsync(
        string key,
        long began,
        Func<CancellationToken, Task<(SharedAnswer<TenantRow> Found, long Seen)>> find,
        CancellationToken ct
    )
    {
        if (Memory.TryGetValue(new FailureOf(key), out Failure? failure) && failure!.At >= began)
        {
            failure.Cause.Throw();
        }

        try
        {
            return await find(ct).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            var options = new MemoryCacheEntryOptions { Size = 1, Priority = CacheItemPriority.Low };
            Memory.Set(
                new FailureOf(key),
                new Failure(ExceptionDispatchInfo.Capture(e), Stopwatch.GetTimestamp()),
                options.SetAbsoluteExpiration(Briefly)
            );
            throw;
        }
    }

    // The cache itself would write it later, after a change that was heard of by then.
    private void Keep(
        string key,
        Tenant? tenant,
        SharedAnswer<TenantRow> found,
        long seen,
        FusionCacheEntryOptions options
    )
    {
        lock (_forgetting)
        {
            var isCurrent = seen == _changes;
            var left = Shorter(Longest, Duration) - found.Age;
            options.Duration =
                isCurrent && tenant is not null && !found.IsLastKnown && left > TimeSpan.Zero
                    ? left
                    : Shorter(Briefly, Duration);
            options.FailSafeMaxDuration = _options.LastKnownGoodFor - found.Age;

            // What may have changed is not brought back while the admin database is away.
            options.IsFailSafeEnabled = isCurrent && tenant is not null;
            if (tenant is null)
            {
                // Whoever asks for many that are not there does not crowd out those that are.
                options.Priority = CacheItemPriority.Low;
            }

            _cache.Set(key, tenant, options);
        }
    }

    private static TimeSpan Shorter(TimeSpan one, TimeSpan other) => one < other ? one : other;

    private sealed record FailureOf(string Key);

    private sealed record Failure(ExceptionDispatchInfo Cause, long At);
}
