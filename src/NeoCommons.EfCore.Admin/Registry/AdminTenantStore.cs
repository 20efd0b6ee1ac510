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
    private static readonly TimeSpan LongestMiss = TimeSpan.FromSeconds(1);

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
                    FailSafeThrottleDuration = options.Value.RefreshInterval,
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
    public ValueTask ForgetAsync(CancellationToken ct)
    {
        _recent.AddOwn(null);
        return DropAllAsync(ct);
    }

    /// <summary>Forgets what is in memory, of which any may have changed, as the log of changes says.</summary>
    public ValueTask DropAllAsync(CancellationToken ct)
    {
        Interlocked.Increment(ref _changes);
        return _cache.ClearAsync(allowFailSafe: true, token: ct);
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
        // First: a load that began before must not bring back what it read.
        Interlocked.Increment(ref _changes);
        _cache.Remove(_keys.Of(id));
        foreach (var slug in slugs)
        {
            _cache.Remove(slug);
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
                var (found, lasts, age) = await FindAnywhereAsync(key, which, token).ConfigureAwait(false);
                entry.Options.Duration = lasts < Duration ? lasts : Duration;
                entry.Options.FailSafeMaxDuration = _options.LastKnownGoodFor - age;
                if (found is null)
                {
                    // Whoever asks for many that are not there does not crowd out those that are.
                    entry.Options.IsFailSafeEnabled = false;
                    entry.Options.Priority = CacheItemPriority.Low;
                }

                return found;
            },
            token: CancellationToken.None
        );
        return finding.IsCompletedSuccessfully ? finding : new(finding.AsTask().WaitAsync(ct));
    }

    /// <summary>Asks the other processes' cache, then the admin database; where that fails, takes what the cache had.</summary>
    /// <returns>The tenant, how long that holds at the most, and how long ago it was read.</returns>
    private async Task<(Tenant? Tenant, TimeSpan Lasts, TimeSpan Age)> FindAnywhereAsync(
        string key,
        Expression<Func<TenantRow, bool>> which,
        CancellationToken ct
    )
    {
        var seen = Interlocked.Read(ref _changes);
        var shared = await FindSharedAsync(key, ct).ConfigureAwait(false);

        // Where no changes are followed it is believed no longer than what is in memory.
        if (shared is not null && _shared.IsYoung(shared, Duration) && seen == Interlocked.Read(ref _changes))
        {
            return (shared.Value.ToTenant(), Longest, _shared.AgeOf(shared));
        }

        try
        {
            var loading = SharedCache.LetGo(LoadSettledAsync(which, ct));
            var (row, isSettled) = await (
                shared is null ? loading : loading.WaitAsync(Patience, _time, ct)
            ).ConfigureAwait(false);
            if (row is not null && isSettled)
            {
                _shared.Keep(key, row, row.Position);
            }

            return (row?.ToTenant(), isSettled && row is not null ? Longest : LongestMiss, TimeSpan.Zero);
        }
        catch (Exception)
            when (shared is not null && !_recent.MayBeStale(new TenantId(shared.Value.Id), shared.Position))
        {
            ServedLastKnown();
            return (shared.Value.ToTenant(), LongestMiss, _shared.AgeOf(shared));
        }
    }

    private async Task<SharedValue<TenantRow>?> FindSharedAsync(string key, CancellationToken ct)
    {
        if (await _shared.FindAsync<TenantRow>(key, ct).ConfigureAwait(false) is not { } found)
        {
            return null;
        }

        var isFresh = !_recent.MayBeStale(new TenantId(found.Value.Id), found.Position);
        _shared.Used(isFresh);
        return isFresh ? found : null;
    }

    private void ServedLastKnown()
    {
        _metrics.ServedLastKnown();
        RegistryLogMessages.ServingLastKnownTenant(_log);
    }

    /// <summary>Reads a row again where some tenant changed meanwhile: what was read may be what it was before.</summary>
    /// <returns>The row, and whether nothing changed while it was read at last.</returns>
    private async Task<(TenantRow? Row, bool IsSettled)> LoadSettledAsync(
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
                return (found, seen == Interlocked.Read(ref _changes));
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
