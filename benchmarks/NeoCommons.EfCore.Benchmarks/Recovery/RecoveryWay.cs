using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Recovery;

/// <summary>An application that writes and reads while its servers fail.</summary>
/// <param name="name">What it is made with.</param>
/// <param name="schema">Where it writes.</param>
/// <param name="services">What it consists of.</param>
/// <param name="create">Makes a context.</param>
internal sealed class RecoveryWay(
    string name,
    string schema,
    ServiceProvider services,
    Func<IServiceProvider, ValueTask<RecoveryWay.EntryContext>> create
) : IAsyncDisposable
{
    // As much as a login may take that waits for nothing.
    private static readonly TimeSpan PoolTimeout = TimeSpan.FromSeconds(5);

    private const int CommandTimeout = 5;

    public string Name => name;

    public string Schema => schema;

    /// <summary>A tenant's contexts.</summary>
    /// <param name="host">The server, or what stands before it.</param>
    /// <param name="login">How to log in there.</param>
    /// <param name="replicas">Further servers.</param>
    public static async Task<RecoveryWay> OursAsync(
        (string Host, int Port) host,
        PostgresServer login,
        params (string Host, int Port)[] replicas
    )
    {
        var tenant = MemoryRegistry.NewTenant(0);
        var row = MemoryRegistry.RowOf(login) with
        {
            Host = host.Host,
            Port = host.Port,
            ReplicaHosts = ReplicaHosts.Parse(string.Join(',', replicas.Select(r => $"{r.Host}:{r.Port}"))),
            PoolTimeout = PoolTimeout,
        };
        var registry = new MemoryRegistry([row], [tenant]);
        var services = new ServiceCollection();
        services.AddSingleton<IConnectionRegistry>(registry);
        services.AddSingleton<ITenantStore>(registry);
        services
            .AddNeoCommons(new ConfigurationBuilder().Build())
            .AddPooledTenantDbContext<EntryContext>(o => o.UseNpgsql(n => n.CommandTimeout(CommandTimeout)));
        var built = services.BuildServiceProvider();
        foreach (var hosted in built.GetServices<IHostedService>())
        {
            await hosted.StartAsync(CancellationToken.None);
        }

        return new(
            "ours",
            tenant.Schema.Value,
            built,
            s => s.GetRequiredService<ITenantDbContextFactory<EntryContext>>().CreateDbContextAsync(tenant.Id)
        );
    }

    /// <summary>EF's pooled contexts of one schema, over the driver's data source as it comes.</summary>
    public static RecoveryWay Plain(
        (string Host, int Port) host,
        PostgresServer login,
        params (string Host, int Port)[] replicas
    )
    {
        var settings = new NpgsqlConnectionStringBuilder(login.ConnectionString)
        {
            Host = string.Join(',', replicas.Prepend(host).Select(h => $"{h.Host}:{h.Port}")),
            SearchPath = "plain",
            Timeout = (int)PoolTimeout.TotalSeconds,
        };
        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString);
        var services = new ServiceCollection();

        // A factory, so that the container disposes it.
        services.AddSingleton<NpgsqlDataSource>(_ => replicas.Length == 0 ? builder.Build() : builder.BuildMultiHost());
        services.AddPooledDbContextFactory<EntryContext>(
            (s, options) =>
                options.UseNpgsql(
                    s.GetRequiredService<NpgsqlDataSource>() is NpgsqlMultiHostDataSource hosts
                        ? hosts.WithTargetSession(TargetSessionAttributes.ReadWrite)
                        : s.GetRequiredService<NpgsqlDataSource>(),
                    n => n.CommandTimeout(CommandTimeout)
                )
        );
        return new(
            "EF and the driver",
            "plain",
            services.BuildServiceProvider(),
            async s => await s.GetRequiredService<IDbContextFactory<EntryContext>>().CreateDbContextAsync()
        );
    }

    public async Task WriteAsync(int id)
    {
        await using var context = await create(services);
        context.Add(new Entry { Id = id });
        await context.SaveChangesAsync();
    }

    public async Task ReadAsync()
    {
        await using var context = await create(services);
        await context.Entries.AsNoTracking().OrderBy(e => e.Id).Take(20).ToListAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var hosted in services.GetServices<IHostedService>())
        {
            await hosted.StopAsync(CancellationToken.None);
        }

        await services.DisposeAsync();
    }

    internal sealed class Entry
    {
        public int Id { get; set; }
    }

    internal sealed class EntryContext(DbContextOptions<EntryContext> options) : DbContext(options)
    {
        public DbSet<Entry> Entries => Set<Entry>();

        protected override void OnModelCreating(ModelBuilder modelBuilder) =>
            modelBuilder.Entity<Entry>(entry =>
            {
                entry.ToTable("entries");
                entry.Property(e => e.Id).HasColumnName("id").ValueGeneratedNever();
            });
    }
}
