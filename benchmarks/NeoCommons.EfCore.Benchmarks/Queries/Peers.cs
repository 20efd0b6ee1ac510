using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>All the ways to use a database with a schema for each tenant, over one road: straight, through the proxy, or a pooler.</summary>
internal sealed class Peers : IAsyncDisposable
{
    /// <summary>The way without tenants, of which all ratios are.</summary>
    public const string Limit = "EF, pooled contexts, one schema";

    public const string LimitWithoutReset = Limit + ", no reset, auto-prepare";
    public const string Npgsql = "Npgsql, one schema";
    public const string NpgsqlAll = "Npgsql, all schemas, names written out";
    public const string Set = "SET when opened, pooled contexts";
    public const string DataSources = "data source per tenant";
    public const string Models = "model per schema, EF's cache";
    public const string OwnModels = "model per schema, a cache of its own";
    public const string SearchPath = "ours: SearchPath, pooled contexts";
    public const string Names = "ours: QualifiedNames, pooled contexts";
    public const string Fastest = "ours: QualifiedNames, pooled contexts, WhenUsed, auto-prepare";
    public const string FastestOfMany = Fastest + " 2,000";

    private const int PoolSize = 32;

    private readonly List<IAsyncDisposable> _owned = [];
    private readonly DatabaseConnection _row;
    private readonly IReadOnlyList<Tenant> _tenants;

    private readonly string _settings;

    /// <summary>Makes them.</summary>
    /// <param name="row">Where the road begins. Its pool is that of our ways.</param>
    /// <param name="tenants">The tenants of the database.</param>
    public Peers(DatabaseConnection row, IReadOnlyList<Tenant> tenants)
    {
        _row = row with
        {
            MaxPoolSize = PoolSize,
            Type = ConnectionType.Dedicated,
            // None of the others tries connections that sat idle, and here each sits idle while the others have their turn.
            PrePing = false,
        };
        _tenants = tenants;
        _settings = new NpgsqlConnectionStringBuilder
        {
            Host = row.Host,
            Port = row.Port,
            Database = row.Database,
            Username = row.Username,
            Password = row.Password.Reveal(),
            MaxPoolSize = PoolSize,
        }.ConnectionString;
    }

    /// <summary>All that can be had on a server.</summary>
    public IReadOnlyList<Peer> All() =>
        [.. WithoutTenants(), .. OfOthers(), .. Ours(App([])), .. WithFallback(), .. WithRoles(), .. WithoutReset()];

    /// <summary>Those that can be had behind a pooler that hands sessions from transaction to transaction.</summary>
    public IReadOnlyList<Peer> BehindTransactionPooler()
    {
        var qualified = new PooledDbContextFactory<OneSchemaContext>(
            new DbContextOptionsBuilder<OneSchemaContext>().UseNpgsql(Source(s => s.NoResetOnClose = true)).Options
        );
        return
        [
            new ContextPeer(Limit, async _ => await qualified.CreateDbContextAsync()),
            new NpgsqlPeer(
                NpgsqlAll,
                Source(s => s.NoResetOnClose = true),
                tenant => $"{_tenants[tenant].Schema.Value}.products"
            ),
            Our<QualifiedContext>(Names, App([])),
        ];
    }

    /// <summary>The names of <see cref="Few"/>.</summary>
    public static IReadOnlyList<string> NamesOfFew => [Limit, Set, DataSources, Models, OwnModels, SearchPath, Names];

    /// <summary>Those whose costs may grow with the number of tenants, each made when it is asked for.</summary>
    public IReadOnlyDictionary<string, Func<ContextPeer>> Few() =>
        new Dictionary<string, Func<ContextPeer>>
        {
            [Limit] = () => Fixed(Limit, Source(SearchPathOfFirst)),
            [Set] = () => SetPooled(Source(_ => { })),
            [DataSources] = PerTenant,
            [Models] = () => ModelPerSchema(Models, cache: null),
            [OwnModels] = () => ModelPerSchema(OwnModels, new MemoryCache(new MemoryCacheOptions())),
            [SearchPath] = () => Our<PooledSearchPathContext>(SearchPath, App([])),
            [Names] = () => Our<QualifiedContext>(Names, App([])),
        };

    public async ValueTask DisposeAsync()
    {
        foreach (var one in Enumerable.Reverse(_owned))
        {
            await one.DisposeAsync();
        }

        _owned.Clear();
    }

    private void SearchPathOfFirst(NpgsqlConnectionStringBuilder settings) =>
        settings.SearchPath = _tenants[0].Schema.Value;

    private IEnumerable<Peer> WithoutTenants()
    {
        var plain = Source(SearchPathOfFirst);
        yield return Fixed(Limit, plain);
        yield return Fixed(
            LimitWithoutReset,
            Source(s =>
            {
                SearchPathOfFirst(s);
                (s.NoResetOnClose, s.MaxAutoPrepare) = (true, 20);
            })
        );
        yield return new NpgsqlPeer(Npgsql, plain, _ => "products");
        yield return new NpgsqlPeer(
            Npgsql + ", no reset, auto-prepare",
            Source(s =>
            {
                SearchPathOfFirst(s);
                (s.NoResetOnClose, s.MaxAutoPrepare) = (true, 20);
            }),
            _ => "products"
        );
        yield return new NpgsqlPeer(NpgsqlAll, Source(_ => { }), tenant => $"{_tenants[tenant].Schema.Value}.products");
    }

    private IEnumerable<Peer> OfOthers()
    {
        var shared = Source(_ => { });
        var set = SetOptions(shared);
        yield return new ContextPeer(
            "SET when opened",
            tenant => new(new SetContext(set) { Schema = SchemaOf(tenant) })
        );
        yield return SetPooled(shared);
        yield return PerTenant();
        yield return ModelPerSchema(Models, cache: null);
        yield return ModelPerSchema(OwnModels, new MemoryCache(new MemoryCacheOptions()));
        var filters = new PooledDbContextFactory<FilteredContext>(
            new DbContextOptionsBuilder<FilteredContext>().UseNpgsql(shared).Options
        );
        yield return new FilteredPeer(
            "shared table and filter, pooled contexts",
            tenant =>
            {
                var context = filters.CreateDbContext();
                context.Tenant = tenant;
                return context;
            }
        );
    }

    private IEnumerable<Peer> Ours(ServiceProvider app)
    {
        yield return Our<SearchPathContext>("ours: SearchPath", app);
        yield return Our<PooledSearchPathContext>(SearchPath, app);
        yield return Our<NewQualifiedContext>("ours: QualifiedNames", app);
        yield return Our<QualifiedContext>(Names, app);
    }

    private IEnumerable<Peer> WithFallback()
    {
        var app = App(new() { ["NeoCommons:Connections:SharedSchemas:0"] = "shared" });
        yield return Our<PooledSearchPathContext>(SearchPath + ", a shared schema", app);
    }

    private IEnumerable<Peer> WithRoles()
    {
        var app = App(new() { ["NeoCommons:Connections:TenantRoles"] = "true" });
        yield return Our<PooledSearchPathContext>(SearchPath + ", roles", app);
        yield return Our<QualifiedContext>(Names + ", roles", app);
    }

    private IEnumerable<Peer> WithoutReset()
    {
        var app = AppOf("20");
        yield return Our<PooledSearchPathContext>(SearchPath + ", WhenUsed", app);
        yield return Our<QualifiedContext>(Fastest, app);
        yield return Our<QualifiedContext>(FastestOfMany, AppOf("2000"));

        ServiceProvider AppOf(string statements) =>
            App(
                new()
                {
                    ["NeoCommons:Connections:SessionReset"] = "WhenUsed",
                    ["NeoCommons:Connections:MaxPreparedStatements"] = statements,
                }
            );
    }

    private string SchemaOf(int tenant) => _tenants[tenant].Schema.Value;

    private static DbContextOptions<SetContext> SetOptions(NpgsqlDataSource source) =>
        new DbContextOptionsBuilder<SetContext>().UseNpgsql(source).AddInterceptors(new SetSearchPath()).Options;

    private ContextPeer SetPooled(NpgsqlDataSource source)
    {
        var contexts = new PooledDbContextFactory<SetContext>(SetOptions(source));
        return new ContextPeer(
            Set,
            async tenant =>
            {
                var context = await contexts.CreateDbContextAsync();
                context.Schema = SchemaOf(tenant);
                return context;
            }
        );
    }

    private ContextPeer PerTenant()
    {
        var sources = new Dictionary<int, DbContextOptions<FixedContext>>();
        return new ContextPeer(
            DataSources,
            tenant =>
            {
                DbContextOptions<FixedContext>? options;
                lock (sources)
                {
                    if (!sources.TryGetValue(tenant, out options))
                    {
                        var source = Source(s => (s.SearchPath, s.MaxPoolSize) = (SchemaOf(tenant), 4));
                        sources[tenant] = options = new DbContextOptionsBuilder<FixedContext>()
                            .UseNpgsql(source)
                            .Options;
                    }
                }

                return new(new FixedContext(options));
            }
        )
        {
            MostTenants = 50,
        };
    }

    private ContextPeer ModelPerSchema(string name, IMemoryCache? cache)
    {
        var options = new DbContextOptionsBuilder<ModelContext>()
            .UseNpgsql(Source(_ => { }))
            .ReplaceService<IModelCacheKeyFactory, KeyPerSchema>();
        if (cache is not null)
        {
            options.UseMemoryCache(cache);
        }

        return new ContextPeer(name, tenant => new(new ModelContext(options.Options) { Schema = SchemaOf(tenant) }))
        {
            Slowness = cache is null ? 20 : 1,
        };
    }

    private static ContextPeer Fixed(string name, NpgsqlDataSource source)
    {
        var contexts = new PooledDbContextFactory<FixedContext>(
            new DbContextOptionsBuilder<FixedContext>().UseNpgsql(source).Options
        );
        return new ContextPeer(name, async _ => await contexts.CreateDbContextAsync());
    }

    private ContextPeer Our<TContext>(string name, ServiceProvider app)
        where TContext : ShopContext
    {
        var contexts = app.GetRequiredService<ITenantDbContextFactory<TContext>>();
        return new ContextPeer(name, async tenant => await contexts.CreateDbContextAsync(_tenants[tenant].Id));
    }

    private ServiceProvider App(Dictionary<string, string?> settings)
    {
        var registry = new MemoryRegistry([_row], _tenants);
        var services = new ServiceCollection();
        services.AddSingleton<IConnectionRegistry>(registry);
        services.AddSingleton<ITenantStore>(registry);
        services
            .AddNeoCommons(new ConfigurationBuilder().AddInMemoryCollection(settings).Build())
            .AddTenantDbContext<SearchPathContext>()
            .AddPooledTenantDbContext<PooledSearchPathContext>()
            .AddTenantDbContext<NewQualifiedContext>(o => o.UseSchemaBinding(SchemaBinding.QualifiedNames))
            .AddPooledTenantDbContext<QualifiedContext>(o => o.UseSchemaBinding(SchemaBinding.QualifiedNames));
        var app = services.BuildServiceProvider();
        _owned.Add(app);
        return app;
    }

    private NpgsqlDataSource Source(Action<NpgsqlConnectionStringBuilder> change)
    {
        var settings = new NpgsqlConnectionStringBuilder(_settings);
        change(settings);
        var source = NpgsqlDataSource.Create(settings);
        lock (_owned)
        {
            _owned.Add(source);
        }

        return source;
    }
}
