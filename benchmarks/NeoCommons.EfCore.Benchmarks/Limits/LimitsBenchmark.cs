using BenchmarkDotNet.Attributes;
using Microsoft.Extensions.Logging.Abstractions;

namespace NeoCommons.EfCore.Benchmarks.Limits;

/// <summary>What the limits add to an open that has to wait for nobody: a tenant's limiter, its permit, the pool's.</summary>
public class LimitsBenchmark : IDisposable
{
    private const int Count = 1_000;

    private readonly ConnectionPermits _permits = new();
    private readonly CancellationTokenSource _ending = new();
    private PooledDataSource? _source;
    private Tenant[] _tenants = [];
    private Thread? _other;
    private int _next;

    internal static async Task RunAsync(bool quick, TextWriter report)
    {
        await report.WriteLineAsync(
            $"What an open and a close take and give back, {Count:N0} tenants. The goal is 1 us."
        );
        await report.WriteLineAsync();
        await Micro.RunAsync<LimitsBenchmark>(quick, report);
    }

    /// <summary>Makes a pool, which nobody connects.</summary>
    [GlobalSetup(Target = nameof(Alone))]
    public void SetUp()
    {
        _source = new PooledDataSource(
            new DatabaseConnection
            {
                Name = "db",
                Host = "localhost",
                Database = "db",
                Username = "app",
                Password = Secret.FromText("not used"),
            },
            new ConnectionOptions(),
            NullLoggerFactory.Instance,
            TimeProvider.System
        );
        _tenants = [.. Enumerable.Range(0, Count).Select(i => MemoryRegistry.NewTenant(i))];
    }

    /// <summary>Has another thread do the same all the time.</summary>
    [GlobalSetup(Target = nameof(WithAnother))]
    public void SetUpTwo()
    {
        SetUp();
        _other = new Thread(() =>
        {
            var permits = new ConnectionPermits();
            for (var i = 0; !_ending.IsCancellationRequested; i++)
            {
                Use(permits, _tenants[i % Count]);
            }
        })
        {
            IsBackground = true,
        };
        _other.Start();
    }

    /// <summary>Ends what was set up.</summary>
    [GlobalCleanup]
    public void Dispose()
    {
        _ending.Cancel();
        _other?.Join();
        _ending.Dispose();
        _source!.Dispose();
    }

    /// <summary>One thread.</summary>
    [Benchmark(Description = "on one thread")]
    public void Alone() => Use(_permits, Next());

    /// <summary>One of two.</summary>
    [Benchmark(Description = "on each of two threads that do nothing else (bytes of both)")]
    public void WithAnother() => Use(_permits, Next());

    // A pooled context keeps its permits' object from lease to lease.
    private void Use(ConnectionPermits permits, Tenant tenant)
    {
        permits.Limiter = _source!.Tenants.Enter(tenant, _source.Row);
        if (!permits.TryTake(_source))
        {
            throw new InvalidOperationException("Nobody has to wait here.");
        }

        permits.End();
    }

    private Tenant Next() => _tenants[_next = (_next + 1) % Count];
}
