using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>All the ways to use a database with a schema for each tenant, over one road: straight, through the proxy, or a pooler.</summary>
internal sealed partial class Peers : IAsyncDisposable
{
    /// <summary>How many connections each has at the most. It keeps those that sit idle while the others have their turn.</summary>
    private const int PoolSize = 32;

    // Where models are kept in a cache of EF's size, which holds compiled queries too.
    private const int ModelsOfCache = 30;

    private readonly List<IAsyncDisposable> _owned = [];
    private readonly DatabaseConnection _row;
    private readonly IReadOnlyList<Tenant> _tenants;
    private readonly string _settings;
    private readonly ConnectionInstruments _instruments = new();
    private PoolMeter? _meter;
    private int _applications;

    /// <summary>Makes them.</summary>
    /// <param name="row">Where the road begins. Its pool is that of our ways.</param>
    /// <param name="tenants">The tenants of the database.</param>
    public Peers(DatabaseConnection row, IReadOnlyList<Tenant> tenants)
    {
        _row = row with
        {
            MinPoolSize = PoolSize,
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
            MinPoolSize = PoolSize,
            MaxPoolSize = PoolSize,
        }.ConnectionString;
    }

    /// <summary>All that can be had on a server, each with a pool of its own.</summary>
    public IReadOnlyList<Peer> All() => [.. Ways().Select(way => way.Make(way.Name))];

    /// <summary>Those of these names; nothing is made of the others.</summary>
    public IReadOnlyList<Peer> Of(IEnumerable<string> names) =>
        [.. names.Select(name => Ways().Single(way => way.Name == name).Make(name))];

    /// <summary>Those that can be had behind a pooler that hands sessions from transaction to transaction.</summary>
    public IReadOnlyList<Peer> BehindTransactionPooler() =>
        [
            Pooled<OneSchemaContext>(Limit, Source(WithoutReset)),
            new NpgsqlPeer(NpgsqlAll, Source(WithoutReset), TableOf),
            ModelPerSchema(OwnModels, new MemoryCache(new MemoryCacheOptions()), Source(WithoutReset)),
            Filtered(Shared, Source(WithoutReset)),
            ByNames(Names),
        ];

    /// <summary>Those of them that have these names.</summary>
    public IReadOnlyList<Peer> BehindTransactionPooler(IEnumerable<string> names) =>
        [.. BehindTransactionPooler().Where(peer => names.Contains(peer.Name))];

    public async ValueTask DisposeAsync()
    {
        foreach (var one in Enumerable.Reverse(_owned))
        {
            await one.DisposeAsync();
        }

        _owned.Clear();
        _meter?.Dispose();
        _instruments.Dispose();
    }

    private void SearchPathOfFirst(NpgsqlConnectionStringBuilder settings) => settings.SearchPath = SchemaOf(0);

    private void WithoutResetOfFirst(NpgsqlConnectionStringBuilder settings) =>
        (settings.SearchPath, settings.NoResetOnClose) = (SchemaOf(0), true);

    private void AutoPrepareOfFirst(NpgsqlConnectionStringBuilder settings)
    {
        AutoPrepare(settings);
        settings.SearchPath = SchemaOf(0);
    }

    private static void AutoPrepare(NpgsqlConnectionStringBuilder settings) =>
        (settings.NoResetOnClose, settings.MaxAutoPrepare) = (true, 20);

    private static void WithoutReset(NpgsqlConnectionStringBuilder settings) => settings.NoResetOnClose = true;

    private static void PlansFromTheFirst(NpgsqlConnectionStringBuilder settings) =>
        (settings.NoResetOnClose, settings.Options) = (true, "-c plan_cache_mode=force_generic_plan");

    private string TableOf(int tenant) => $"{SchemaOf(tenant)}.products";

    private string SchemaOf(int tenant) => _tenants[tenant].Schema.Value;

    private static DbContextOptions<SetContext> SetOptions(NpgsqlDataSource source) =>
        new DbContextOptionsBuilder<SetContext>().UseNpgsql(source).AddInterceptors(new SetSearchPath()).Options;

    private ContextPeer SetPooled(string name, NpgsqlDataSource source)
    {
        var contexts = new PooledDbContextFactory<SetContext>(SetOptions(source));
        return new ContextPeer(
            name,
            async tenant =>
            {
                var context = await contexts.CreateDbContextAsync();
                context.Schema = SchemaOf(tenant);
                return context;
            }
        );
    }

    private ContextPeer PerTenant(string name, bool isTuned)
    {
        var sources = new Dictionary<int, DbContextOptions<FixedContext>>();
        return new ContextPeer(
            name,
            tenant =>
            {
                DbContextOptions<FixedContext>? options;
                lock (sources)
                {
                    if (!sources.TryGetValue(tenant, out options))
                    {
                        var source = Source(s =>
                        {
                            (s.SearchPath, s.MinPoolSize, s.MaxPoolSize) = (SchemaOf(tenant), 4, 4);
                            if (isTuned)
                            {
                                AutoPrepare(s);
                            }
                        });
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
            Prepares = isTuned,
        };
    }

    private ContextPeer ModelPerSchema(string name, IMemoryCache? cache, NpgsqlDataSource source)
    {
        var options = new DbContextOptionsBuilder<ModelContext>()
            .UseNpgsql(source)
            .ReplaceService<IModelCacheKeyFactory, KeyPerSchema>();
        if (cache is not null)
        {
            options.UseMemoryCache(cache);
        }

        return new ContextPeer(name, tenant => new(new ModelContext(options.Options) { Schema = SchemaOf(tenant) }))
        {
            QuickTenants = cache is null ? ModelsOfCache : int.MaxValue,
        };
    }

    private static FilteredPeer Filtered(string name, NpgsqlDataSource source, bool prepares = false)
    {
        var contexts = new PooledDbContextFactory<FilteredContext>(
            new DbContextOptionsBuilder<FilteredContext>().UseNpgsql(source).Options
        );
        return new FilteredPeer(
            name,
            async tenant =>
            {
                var context = await contexts.CreateDbContextAsync();
                context.Tenant = tenant;
                return context;
            }
        )
        {
            Prepares = prepares,
        };
    }

    private static ContextPeer Pooled<TContext>(string name, NpgsqlDataSource source, bool prepares = false)
        where TContext : ShopContext
    {
        var contexts = new PooledDbContextFactory<TContext>(
            new DbContextOptionsBuilder<TContext>().UseNpgsql(source).Options
        );
        return new ContextPeer(name, async _ => await contexts.CreateDbContextAsync()) { Prepares = prepares };
    }

    private ContextPeer BySearchPath(
        string name,
        (string, string)[]? settings = null,
        bool pooled = true,
        bool prepares = false,
        bool isDelivered = false
    ) => Our<SearchPathContext>(name, SchemaBinding.SearchPath, settings, pooled, prepares, isDelivered);

    private ContextPeer ByNames(
        string name,
        (string, string)[]? settings = null,
        bool pooled = true,
        bool prepares = false
    ) => Our<QualifiedContext>(name, SchemaBinding.QualifiedNames, settings, pooled, prepares);

    private ContextPeer Our<TContext>(
        string name,
        SchemaBinding binding,
        IEnumerable<(string Key, string Value)>? settings,
        bool pooled,
        bool prepares,
        bool isDelivered = false
    )
        where TContext : ShopContext
    {
        // A name of its own, by which the driver's commands are told apart.
        var row = _row with
        {
            Name = $"{_row.Name}{++_applications}",
            Type = isDelivered ? ConnectionType.Shared : _row.Type,
            PrePing = isDelivered,
        };
        var registry = new MemoryRegistry([row], _tenants.Select(t => t with { ConnectionName = row.Name }));
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(
            (settings ?? []).Select(s => KeyValuePair.Create(s.Key, (string?)s.Value))
        );
        var services = new ServiceCollection();
        services.AddSingleton<IConnectionRegistry>(registry);
        services.AddSingleton<ITenantStore>(registry);

        // One listener in the process, as in an application: the driver tells each of them of all commands, whichever the way.
        services.AddSingleton(
            _meter ??= new PoolMeter(_instruments, Options.Create(new ConnectionOptions()), TimeProvider.System)
        );
        var ours = services.AddNeoCommons(configuration.Build());
        _ = pooled ? ours.AddPooledTenantDbContext<TContext>(Bind) : ours.AddTenantDbContext<TContext>(Bind);
        var app = services.BuildServiceProvider();
        _owned.Add(app);
        var contexts = app.GetRequiredService<ITenantDbContextFactory<TContext>>();
        return new ContextPeer(name, async tenant => await contexts.CreateDbContextAsync(_tenants[tenant].Id))
        {
            Prepares = prepares,
        };

        void Bind(DbContextOptionsBuilder options) => options.UseSchemaBinding(binding);
    }

    private NpgsqlDataSource Source(Action<NpgsqlConnectionStringBuilder>? change = null)
    {
        var settings = new NpgsqlConnectionStringBuilder(_settings);
        change?.Invoke(settings);
        var source = NpgsqlDataSource.Create(settings);
        lock (_owned)
        {
            _owned.Add(source);
        }

        return source;
    }
}
