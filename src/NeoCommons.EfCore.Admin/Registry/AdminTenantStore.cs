using System.Linq.Expressions;
using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.Admin;

/// <summary>The tenants of <c>admin.tenants</c>; those in use are answered from memory.</summary>
/// <remarks>A row that cannot be read is left out of the list and logged; to look for it alone fails.</remarks>
internal sealed class AdminTenantStore : ITenantStore, IDisposable
{
    private const int PageSize = 500;

    // Where all tenants are being migrated, rows change faster than one is read.
    private const int LoadTries = 3;

    private readonly AdminReads _reads;
    private readonly TenantCache _cache;
    private readonly SharedCache _shared;
    private readonly RecentChanges _recent;
    private readonly RegistryMetrics _metrics;
    private readonly ILogger<AdminTenantStore> _log;

    public AdminTenantStore(
        AdminReads reads,
        TenantCache cache,
        SharedCache shared,
        RecentChanges recent,
        RegistryMetrics metrics,
        ILogger<AdminTenantStore> log
    )
    {
        (_reads, _cache, _shared, _recent, _metrics, _log) = (reads, cache, shared, recent, metrics, log);
        Changes = new ChangeListeners<TenantId?>(log);
        _cache.LastKnownServed += ServedLastKnown;
    }

    /// <summary>Those who want to hear of changed tenants.</summary>
    public ChangeListeners<TenantId?> Changes { get; }

    public IDisposable OnChange(Action<TenantId?> listener) => Changes.Add(listener);

    public ValueTask<Tenant?> FindAsync(TenantId id, CancellationToken ct = default)
    {
        var key = _cache.KeyOf(id);
        var known = _cache.Find(key, ct);
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

        var known = _cache.Find(slug, ct);
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

    /// <summary>Forgets all that this process may have changed; it is still served while it cannot be asked for.</summary>
    public void ForgetAll()
    {
        _recent.AddOwn(null);
        _cache.DropAll();
    }

    /// <summary>Forgets a tenant that this process has changed.</summary>
    public void Forget(TenantId id, IEnumerable<string> slugs)
    {
        _recent.AddOwn(id);
        _cache.Drop(id, slugs);
    }

    public void Dispose() => _cache.LastKnownServed -= ServedLastKnown;

    private ValueTask<Tenant?> AskAsync(string key, TenantId? id, CancellationToken ct)
    {
        Expression<Func<TenantRow, bool>> which = id is { } known ? t => t.Id == known.Value : t => t.Slug == key;
        return _cache.FindOrLoadAsync(key, token => FindAnywhereAsync(key, which, token), ct);
    }

    /// <summary>Asks the other processes' cache, then the admin database; where that fails, takes what the cache had.</summary>
    /// <returns>What was found, and how many changes had been heard of before.</returns>
    private async Task<(SharedAnswer<TenantRow> Found, long Seen)> FindAnywhereAsync(
        string key,
        Expression<Func<TenantRow, bool>> which,
        CancellationToken ct
    )
    {
        var seen = _cache.Changes;
        var found = await _shared
            .FindOrLoadAsync(
                key,
                // Where no changes are followed it is believed no longer than what is in memory.
                _cache.Duration,
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
            var seen = _cache.Changes;
            var found = await LoadAsync(which, ct).ConfigureAwait(false);
            if (seen == _cache.Changes || triesLeft == 1)
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
