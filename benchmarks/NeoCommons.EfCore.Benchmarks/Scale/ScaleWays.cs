using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Benchmarks.Queries;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Scale;

/// <summary>The ways whose costs may grow with the number of tenants; each is an application of its own.</summary>
internal sealed class ScaleWays(PostgresServer server, ScaleRegistry registry, IReadOnlyList<Tenant> tenants)
    : IAsyncDisposable
{
    public const string Limit = "EF, pooled contexts, one schema";
    public const string Set = "SET when opened, pooled contexts";
    public const string DataSources = "data source per tenant";
    public const string Models = "model per schema, EF's cache";
    public const string OwnModels = "model per schema, a cache of its own";
    public const string SearchPath = "ours: SearchPath, pooled contexts";
    public const string Names = "ours: QualifiedNames, pooled contexts";

    public const int PoolSize = 32;

    private readonly List<IAsyncDisposable> _owned = [];

    public static IReadOnlyList<string> All => [Limit, Set, DataSources, Models, OwnModels, SearchPath, Names];

    /// <summary>Starts one, which has used no tenant yet; what it returns makes a tenant's context.</summary>
    public async Task<Func<int, ValueTask<WideContext>>> StartAsync(string name) =>
        name switch
        {
            Limit => Fixed(Source(tenants[0].Schema.Value)),
            Set => Setting(),
            DataSources => PerTenant(),
            Models => ModelPerSchema(cache: null),
            OwnModels => ModelPerSchema(new MemoryCache(new MemoryCacheOptions())),
            SearchPath => Our<WideSearchPathContext>(await AppAsync()),
            Names => Our<WideQualifiedContext>(await AppAsync()),
            _ => throw new ArgumentOutOfRangeException(nameof(name), name, "There is no such way."),
        };

    public async ValueTask DisposeAsync()
    {
        foreach (var one in Enumerable.Reverse(_owned))
        {
            await one.DisposeAsync();
        }

        _owned.Clear();
    }

    private static Func<int, ValueTask<WideContext>> Fixed(NpgsqlDataSource source)
    {
        var contexts = new PooledDbContextFactory<WideFixedContext>(OptionsOf<WideFixedContext>(source).Options);
        return async _ => await contexts.CreateDbContextAsync();
    }

    private Func<int, ValueTask<WideContext>> Setting()
    {
        var contexts = new PooledDbContextFactory<WideSetContext>(
            OptionsOf<WideSetContext>(Source()).AddInterceptors(new SetSearchPath()).Options
        );
        return async tenant =>
        {
            var context = await contexts.CreateDbContextAsync();
            context.Schema = tenants[tenant].Schema.Value;
            return context;
        };
    }

    private Func<int, ValueTask<WideContext>> PerTenant()
    {
        var all = new Dictionary<int, DbContextOptions<WideFixedContext>>();
        return tenant =>
        {
            DbContextOptions<WideFixedContext>? options;
            lock (all)
            {
                if (!all.TryGetValue(tenant, out options))
                {
                    var source = Source(tenants[tenant].Schema.Value, poolSize: 4);
                    all[tenant] = options = OptionsOf<WideFixedContext>(source).Options;
                }
            }

            return new(new WideFixedContext(options));
        };
    }

    private Func<int, ValueTask<WideContext>> ModelPerSchema(IMemoryCache? cache)
    {
        var options = OptionsOf<WideModelContext>(Source()).ReplaceService<IModelCacheKeyFactory, KeyPerSchema>();
        if (cache is not null)
        {
            options.UseMemoryCache(cache);
        }

        return tenant => new(new WideModelContext(options.Options) { Schema = tenants[tenant].Schema.Value });
    }

    private Func<int, ValueTask<WideContext>> Our<TContext>(IHost app)
        where TContext : WideContext
    {
        var contexts = app.Services.GetRequiredService<ITenantDbContextFactory<TContext>>();
        return async tenant => await contexts.CreateDbContextAsync(tenants[tenant].Id);
    }

    private async Task<IHost> AppAsync()
    {
        var app = await registry.StartAsync();
        _owned.Add(new Started(app));
        return app;
    }

    private static DbContextOptionsBuilder<TContext> OptionsOf<TContext>(NpgsqlDataSource source)
        where TContext : DbContext => new DbContextOptionsBuilder<TContext>().UseNpgsql(source);

    private NpgsqlDataSource Source(string? searchPath = null, int poolSize = PoolSize)
    {
        var source = NpgsqlDataSource.Create(
            new NpgsqlConnectionStringBuilder(server.ConnectionString)
            {
                MaxPoolSize = poolSize,
                SearchPath = searchPath,
            }
        );
        _owned.Add(source);
        return source;
    }

    private sealed class Started(IHost app) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await app.StopAsync();
            app.Dispose();
        }
    }
}
