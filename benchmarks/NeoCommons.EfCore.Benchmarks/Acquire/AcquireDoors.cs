using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Acquire;

/// <summary>The ways to get a connection, each with a pool of the same size.</summary>
internal sealed class AcquireDoors : IAsyncDisposable
{
    public const string Plain = "plain Npgsql, no tenants";
    public const string PlainContext = "EF, pooled contexts, no tenants";

    private readonly NpgsqlDataSource _plain;
    private readonly NpgsqlDataSource _plainSet;
    private readonly NpgsqlDataSource _plainEf;
    private readonly PooledDbContextFactory<AcquireApp.EmptyContext> _plainContexts;
    private readonly AcquireApp _app;

    public AcquireDoors(PostgresServer server, AcquireApp app)
    {
        _app = app;
        _plain = PlainSource(server);
        _plainSet = PlainSource(server);
        _plainEf = PlainSource(server);
        _plainContexts = new PooledDbContextFactory<AcquireApp.EmptyContext>(
            new DbContextOptionsBuilder<AcquireApp.EmptyContext>().UseNpgsql(_plainEf).Options
        );
    }

    /// <summary>Each of them asks this, and says how many milliseconds it had to wait before it could.</summary>
    public IReadOnlyList<(string Name, Func<Random, Task<double>> Once)> Asking(string sql)
    {
        var connections = _app.Services.GetRequiredService<IDatabaseConnections>();
        return
        [
            (Plain, _ => OfConnectionAsync(() => _plain.OpenConnectionAsync(), sql)),
            (
                "plain Npgsql, `SET search_path` sent with the query",
                random =>
                    OfConnectionAsync(
                        () => _plainSet.OpenConnectionAsync(),
                        $"SET search_path TO {TenantOf(random).Schema.Quoted}; {sql}"
                    )
            ),
            (
                "`OpenTenantConnectionAsync`",
                random => OfConnectionAsync(() => connections.OpenTenantConnectionAsync(TenantOf(random).Id), sql)
            ),
            (PlainContext, _ => OfContextAsync(() => _plainContexts.CreateDbContextAsync(), sql)),
            ("a tenant's context, pooled, SearchPath", Contexts<AcquireApp.EmptyContext>(sql)),
            ("a tenant's context, pooled, QualifiedNames", Contexts<AcquireApp.NamesContext>(sql)),
        ];
    }

    public async ValueTask DisposeAsync()
    {
        await _plain.DisposeAsync();
        await _plainSet.DisposeAsync();
        await _plainEf.DisposeAsync();
    }

    private static NpgsqlDataSource PlainSource(PostgresServer server) =>
        new NpgsqlDataSourceBuilder(server.ConnectionString)
        {
            ConnectionStringBuilder = { MaxPoolSize = AcquireApp.PoolSize, SslMode = SslMode.Disable },
        }.Build();

    private Tenant TenantOf(Random random) => _app.Tenants[random.Next(_app.Tenants.Count)];

    private Func<Random, Task<double>> Contexts<TContext>(string sql)
        where TContext : DbContext
    {
        var contexts = _app.Services.GetRequiredService<ITenantDbContextFactory<TContext>>();
        return random => OfContextAsync(async () => await contexts.CreateDbContextAsync(TenantOf(random).Id), sql);
    }

    private static async Task<double> OfConnectionAsync(Func<ValueTask<NpgsqlConnection>> open, string sql)
    {
        var watch = Stopwatch.StartNew();
        await using var connection = await open();
        var waited = watch.Elapsed.TotalMilliseconds;
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
        return waited;
    }

    private static async Task<double> OfContextAsync<TContext>(Func<Task<TContext>> create, string sql)
        where TContext : DbContext
    {
        var watch = Stopwatch.StartNew();
        await using var context = await create();
        await context.Database.OpenConnectionAsync();
        var waited = watch.Elapsed.TotalMilliseconds;
        await using var command = new NpgsqlCommand(sql, (NpgsqlConnection)context.Database.GetDbConnection());
        await command.ExecuteNonQueryAsync();
        return waited;
    }
}
