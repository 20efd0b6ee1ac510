using System.Linq.Expressions;
using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using ZiggyCreatures.Caching.Fusion;

namespace NeoCommons.EfCore.Admin;

/// <summary>The tenants of <c>admin.tenants</c>; those in use are answered from memory.</summary>
/// <remarks>
/// One load per tenant however many ask at once; "no such tenant" is remembered briefly; while the admin database cannot
/// be asked, a tenant that is known is served as it was last.
/// </remarks>
internal sealed class AdminTenantStore : ITenantStore, IDisposable
{
    private const int PageSize = 500;
    private static readonly TimeSpan LongestMiss = TimeSpan.FromSeconds(1);

    private readonly AdminReads _reads;
    private readonly FusionCache _cache;

    public AdminTenantStore(AdminReads reads, IOptions<AdminDatabaseOptions> options, TenantCacheMemory memory)
    {
        _reads = reads;
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
                    Size = 1,
                },
            },
            memory.Cache
        );
    }

    public ValueTask<Tenant?> FindAsync(TenantId id, CancellationToken ct = default) =>
        FindAsync("id:" + id, t => t.Id == id.Value, ct);

    public ValueTask<Tenant?> FindBySlugAsync(string slug, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(slug);

        // What cannot be a slug is not asked for, and does not fill the cache.
        return TenantSlug.IsValid(slug) ? FindAsync("slug:" + slug, t => t.Slug == slug, ct) : default;
    }

    public async IAsyncEnumerable<Tenant> ListAsync([EnumeratorCancellation] CancellationToken ct = default)
    {
        // Page by page: who migrates all tenants takes hours, and an open reader would hold back vacuum all the while.
        var last = "";
        List<TenantEntity> page;
        do
        {
            var after = last;
            page = await _reads
                .ReadAsync(
                    (db, token) =>
                        db
                            .Tenants.Include(t => t.Connection)
                            .Where(t => string.Compare(t.Slug, after) > 0)
                            .OrderBy(t => t.Slug)
                            .Take(PageSize)
                            .ToListAsync(token),
                    ct
                )
                .ConfigureAwait(false);
            foreach (var row in page)
            {
                yield return Map(row);
                last = row.Slug;
            }
        } while (page.Count == PageSize);
    }

    /// <summary>Forgets what is cached; it is asked for again at the next use, and still served while it cannot be.</summary>
    public ValueTask ForgetAsync(CancellationToken ct) => _cache.ClearAsync(allowFailSafe: true, token: ct);

    public void Dispose() => _cache.Dispose();

    private async ValueTask<Tenant?> FindAsync(
        string key,
        Expression<Func<TenantEntity, bool>> which,
        CancellationToken ct
    ) =>
        await _cache
            .GetOrSetAsync<Tenant?>(
                key,
                async (entry, token) =>
                {
                    var found = await LoadAsync(which, token).ConfigureAwait(false);
                    if (found is null)
                    {
                        entry.Options.Duration =
                            entry.Options.Duration < LongestMiss ? entry.Options.Duration : LongestMiss;
                        entry.Options.IsFailSafeEnabled = false;
                    }

                    return found;
                },
                token: ct
            )
            .ConfigureAwait(false);

    private async Task<Tenant?> LoadAsync(Expression<Func<TenantEntity, bool>> which, CancellationToken ct)
    {
        var row = await _reads
            .ReadAsync((db, token) => db.Tenants.Include(t => t.Connection).SingleOrDefaultAsync(which, token), ct)
            .ConfigureAwait(false);
        return row is null ? null : Map(row);
    }

    internal static Tenant Map(TenantEntity row) =>
        new()
        {
            Id = new TenantId(row.Id),
            Slug = row.Slug,
            Name = row.Name,
            Schema = SchemaName.Parse(row.SchemaName),
            ConnectionName = row.Connection!.ConnectionName,
            Status = row.Status,
            RegionId = row.RegionId,
            SchemaVersion = row.SchemaVersion,
        };
}
