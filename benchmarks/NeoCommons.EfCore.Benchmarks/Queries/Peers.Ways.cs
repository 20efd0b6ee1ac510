using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Caching.Memory;

namespace NeoCommons.EfCore.Benchmarks.Queries;

// The ways, made when they are asked for.
internal sealed partial class Peers
{
    /// <summary>What all reports say of the metrics that are taken meanwhile.</summary>
    public const string Metrics =
        "Ours take the times of commands (`CollectCommandMetrics`, the default); one listener in the process hears them, and the driver "
        + "calls it for those of the other ways too.";

    private const string Section = "NeoCommons:Connections:";

    private static readonly (string, string)[] Fallback = [(Section + "SharedSchemas:0", "shared")];
    private static readonly (string, string)[] Roles = [(Section + "TenantRoles", "true")];
    private static readonly (string, string)[] WhenUsed = [(Section + "SessionReset", "WhenUsed")];
    private static readonly (string, string)[] Prepared = [.. WhenUsed, (Section + "MaxPreparedStatements", "20")];
    private static readonly (string, string)[] PreparedAtOnce =
    [
        .. WhenUsed,
        (Section + "MaxPreparedStatements", "5000"),
        (Section + "PrepareAfterUses", "1"),
    ];

    private IReadOnlyList<(string Name, Func<string, Peer> Make)> Ways() =>
        [.. WithoutTenants(), .. OfOthers(), .. Ours()];

    private IReadOnlyList<(string Name, Func<string, Peer> Make)> WithoutTenants() =>
        [
            (Limit, name => Pooled<FixedContext>(name, Source(SearchPathOfFirst))),
            (LimitAgain, name => Pooled<FixedContext>(name, Source(SearchPathOfFirst))),
            (LimitWithoutReset, name => Pooled<FixedContext>(name, Source(WithoutResetOfFirst))),
            (LimitPrepared, name => Pooled<FixedContext>(name, Source(AutoPrepareOfFirst), prepares: true)),
            (LimitUnpooled, Unpooled),
            (Npgsql, name => new NpgsqlPeer(name, Source(SearchPathOfFirst), _ => "products")),
            (
                NpgsqlWithoutReset,
                name => new NpgsqlPeer(name, Source(AutoPrepareOfFirst), _ => "products") { Prepares = true }
            ),
            (NpgsqlAll, name => new NpgsqlPeer(name, Source(), TableOf)),
            (
                NpgsqlPrepared,
                name => new NpgsqlPeer(name, Source(PlansFromTheFirst), TableOf, prepares: true) { Prepares = true }
            ),
        ];

    private IReadOnlyList<(string Name, Func<string, Peer> Make)> OfOthers() =>
        [
            (SetUnpooled, NewSet),
            (Set, name => SetPooled(name, Source())),
            (DataSources, name => PerTenant(name, isTuned: false)),
            (DataSourcesPrepared, name => PerTenant(name, isTuned: true)),
            (Models, name => ModelPerSchema(name, cache: null, Source())),
            (OwnModels, name => ModelPerSchema(name, new MemoryCache(new MemoryCacheOptions()), Source())),
            (Shared, name => Filtered(name, Source())),
            (SharedPrepared, name => Filtered(name, Source(AutoPrepare), prepares: true)),
        ];

    private IReadOnlyList<(string Name, Func<string, Peer> Make)> Ours() =>
        [
            (SearchPathUnpooled, name => BySearchPath(name, pooled: false)),
            (SearchPath, name => BySearchPath(name)),
            (Delivered, name => BySearchPath(name, isDelivered: true)),
            (NamesUnpooled, name => ByNames(name, pooled: false)),
            (Names, name => ByNames(name)),
            (SearchPath + ", a shared schema", name => BySearchPath(name, Fallback)),
            (SearchPath + ", roles", name => BySearchPath(name, Roles)),
            (Names + ", roles", name => ByNames(name, Roles)),
            (SearchPath + ", WhenUsed, auto-prepare", name => BySearchPath(name, Prepared, prepares: true)),
            (NamesWithoutReset, name => ByNames(name, WhenUsed)),
            (Fastest, name => ByNames(name, Prepared, prepares: true)),
            (FastestOfMany, name => ByNames(name, PreparedAtOnce, prepares: true)),
        ];

    private ContextPeer Unpooled(string name)
    {
        var options = new DbContextOptionsBuilder<FixedContext>().UseNpgsql(Source(SearchPathOfFirst)).Options;
        return new ContextPeer(name, _ => new(new FixedContext(options)));
    }

    private ContextPeer NewSet(string name)
    {
        var options = SetOptions(Source());
        return new ContextPeer(name, tenant => new(new SetContext(options) { Schema = SchemaOf(tenant) }));
    }
}
