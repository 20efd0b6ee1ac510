using System.Linq.Expressions;
using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using ZiggyCreatures.Caching.Fusion;

namespace NeoCommons.EfCore.Admin;

/// <summary>The tenants of <c>admin.tenants</c>; those in use are answered from memory.</summary>
/// <remarks>
/// One load per tenant however many ask at once; "no such tenant" is remembered briefly; while the admin database cannot
/// be asked or hangs, a tenant that is known is served as it was last. A row that cannot be
/// read is left out of the list and logged; to look for it alone fails.
/// </remarks>
internal sealed class AdminTenantStore : ITenantStore, IDisposable
{
    private const int PageSize = 500;

    // Where all tenants are being migrated, rows change faster than one is read.
    private const int LoadTries = 3;

    /// <summary>How long holds that there is no such tenant, or what may have changed.</summary>
    private static readonly TimeSpan Briefly = TimeSpan.FromSeconds(1);

    /// <summary>How long what was known last is served before it is asked for again.</summary>
    private static readonly TimeSpan LongestThrottle = TimeSpan.FromSeconds(5);

    /// <summary>How long a tenant is answered from memory where changes are followed: it should not matter.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromMinutes(10);

    /// <summary>How long a known tenant is waited for before it is served as it was; the answer still comes in.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);

    private readonly AdminReads _reads;
    private readonly FusionCache _cache;
    private readonly SharedCache _shared;
    private readonly RecentChanges _recent;
    private readonly RegistryMetrics _metrics;
    private readonly AdminDatabaseOptions _options;
    private readonly TimeProvider _time;
    private readonly TenantKeys _keys = new();
    private readonly ILogger<AdminTenantStore> _log;

    // Nothing is written between "a tenant has changed" and its removal.
    private readonly Lock _forgetting = new();
    private long _changes;
    private volatile bool _isFollowed;

    public AdminTenantStore(
        AdminReads reads,
        IOptions<AdminDatabaseOptions> options,
        TenantCacheMemory memory,
        SharedCache shared,
        RecentChanges recent,
        RegistryMetrics metrics,
        TimeProvider time,
        ILogger<AdminTenantStore> log
    )
    {
        (_reads, _options, _shared, _recent) = (reads, options.Value, shared, recent);
        (_metrics, _time, _log) = (metrics, time, log);
        Changes = new ChangeListeners<TenantId?>(log);
        _cache = new FusionCache(
            new FusionCacheOptions
            {
                CacheName = "neocommons-tenants",
                DefaultEntryOptions = new FusionCacheEntryOptions
                {
                    Duration = options.Value.RefreshInterval,
                    IsFailSafeEnabled = true,
                    FailSafeMaxDuration = options.Value.LastKnownGoodFor,
                    FailSafeThrottleDuration =
                        options.Value.RefreshInterval < LongestThrottle
                            ? options.Value.RefreshInterval
                            : LongestThrottle,
                    FactorySoftTimeout = Patience,
                    Size = 1,
                },
            },
            memory.Cache
        );

        // The cache's own log tells every operation; this is the one that an operator must know.
        _cache.Events.FailSafeActivate += (_, _) => ServedLastKnown();
    }

    /// <summary>Those who want to hear of changed tenants.</summary>
    public ChangeListeners<TenantId?> Changes { get; }

    /// <summary>Whether changes are followed, so that what is in memory holds until one is heard of.</summary>
    public bool IsFollowed
    {
        get => _isFollowed;
        set => _isFollowed = value;
    }

    private TimeSpan Duration =>
        !_isFollowed || _options.RefreshInterval > Longest ? _options.RefreshInterval
        : _options.LastKnownGoodFor < Longest ? _options.LastKnownGoodFor
        : Longest;

    public IDisposable OnChange(Action<TenantId?> listener) => Changes.Add(listener);

    public ValueTask<Tenant?> FindAsync(TenantId id, CancellationToken ct = default)
    {
        var key = _keys.Of(id);
        var known = _cache.TryGet<Tenant?>(key, token: ct);
        return known.HasValue ? new(known.Value) : AskAsync(key, id, ct);
    }

    public ValueTask<Tenant?> FindBySlugAsync(string slug, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(slug);

        // What cannot be a slug is not looked for: an id in braces and words of the cache's own are keys in it too.
        if (!TenantSlug.IsValid(slug))
        {
            return default;
        }

        var known = _cache.TryGet<Tenant?>(slug, token: ct);
        return known.HasValue ? new(known.Value) : AskAsync(slug, null, ct);
    }

    public async IAsyncEnumerable<Tenant> ListAsync([EnumeratorCancellation] CancellationToken ct = default)
    {
        // Page by page: who migrates all tenants takes hours, and an open reader would hold back vacuum all the while.
        // By the id: a slug changes, and its tenant would come twice, or not at all.
        Guid? last = null;
        List<TenantRow> page;
        do
        {
            var after = last;
            page = await _reads
                .ReadAsync(
                    (db, token) =>
                        TenantRow
                            .Query(db)
                            .Where(t => after == null || t.Id > after)
                            .OrderBy(t => t.Id)
                            .Take(PageSize)
                            .ToListAsync(token),
                    ct
                )
                .ConfigureAwait(false);
            foreach (var row in page)
            {
                last = row.Id;
                if (TryMap(row) is { } tenant)
                {
                    yield return tenant;
                }
            }
        } while (page.Count == PageSize);
    }

    /// <summary>Forgets what is cached; it is asked for again at the next use, and still served while it cannot be.</summary>
    public void ForgetAll()
    {
        _recent.AddOwn(null);
        DropAll();
    }

    /// <summary>Forgets what is in memory, of which any may have changed.</summary>
    public void DropAll()
    {
        lock (_forgetting)
        {
            _changes++;
            _cache.Clear(allowFailSafe: true);
        }
    }

    /// <summary>Forgets a tenant that this process has changed: what it was is not served any more, whatever happens.</summary>
    public void Forget(TenantId id, IEnumerable<string> slugs)
    {
        _recent.AddOwn(id);
        Drop(id, slugs);
    }

    /// <summary>Forgets a tenant that was changed, as the log of changes says.</summary>
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

    public void Dispose() => _cache.Dispose();

    private ValueTask<Tenant?> AskAsync(string key, TenantId? id, CancellationToken ct)
    {
        Expression<Func<TenantRow, bool>> which = id is { } known ? t => t.Id == known.Value : t => t.Slug == key;

        // Others wait for the same load, and it may go on behind an answer: a caller's token ends the waiting, not the load.
        var finding = _cache.GetOrSetAsync<Tenant?>(
            key,
            async (entry, token) =>
            {
                var (found, seen) = await FindAnywhereAsync(key, which, token).ConfigureAwait(false);
                var tenant = found.Value?.ToTenant();
                if (found.IsLastKnown)
                {
                    ServedLastKnown();
                }

                Keep(key, tenant, found, seen, entry.Options);
                entry.Options.SkipMemoryCacheWrite = true;
                return tenant;
            },
            token: CancellationToken.None
        );
        return finding.IsCompletedSuccessfully ? finding : new(finding.AsTask().WaitAsync(ct));
    }

    /// <summary>Writes into memory what was found. The cache itself would do it later, after a change that was heard of by then.</summary>
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
            var lasts = isCurrent && tenant is not null && !found.IsLastKnown ? Longest : Briefly;
            options.Duration = lasts < Duration ? lasts : Duration;
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

    /// <summary>Asks the other processes' cache, then the admin database; where that fails, takes what the cache had.</summary>
    /// <returns>What was found, and how many changes had been heard of before.</returns>
    private async Task<(SharedAnswer<TenantRow> Found, long Seen)> FindAnywhereAsync(
        string key,
        Expression<Func<TenantRow, bool>> which,
        CancellationToken ct
    )
    {
        var seen = Interlocked.Read(ref _changes);
        var found = await _shared
            .FindOrLoadAsync(
                key,
                // Where no changes are followed it is believed no longer than what is in memory.
                Duration,
                (row, position) => _recent.MayBeStale(new TenantId(row.Id), position),
                async token =>
                {
                    (var row, seen) = await LoadSettledAsync(which, token).ConfigureAwait(false);
                    return row;
                },
                row => row.Position,
                ct
            )
            .ConfigureAwait(false);
        return (found, seen);
    }

    private void ServedLastKnown()
    {
        _metrics.ServedLastKnown();
        RegistryLogMessages.ServingLastKnownTenant(_log);
    }

    /// <summary>Reads a row again where some tenant changed meanwhile: what was read may be what it was before.</summary>
    /// <returns>The row, and how many changes had been heard of when it was read at last.</returns>
    private async Task<(TenantRow? Row, long Seen)> LoadSettledAsync(
        Expression<Func<TenantRow, bool>> which,
        CancellationToken ct
    )
    {
        for (var triesLeft = LoadTries; ; triesLeft--)
        {
            var seen = Interlocked.Read(ref _changes);
            var found = await LoadAsync(which, ct).ConfigureAwait(false);
            if (seen == Interlocked.Read(ref _changes) || triesLeft == 1)
            {
                return (found, seen);
            }
        }
    }

    private Task<TenantRow?> LoadAsync(Expression<Func<TenantRow, bool>> which, CancellationToken ct) =>
        _reads.ReadAsync((db, token) => TenantRow.Query(db).SingleOrDefaultAsync(which, token), ct);

    private Tenant? TryMap(TenantRow row)
    {
        try
        {
            return row.ToTenant();
        }
        catch (Exception e)
        {
            RegistryLogMessages.TenantRowUnreadable(_log, e, row.Slug);
            return null;
        }
    }
}
