using BenchmarkDotNet.Attributes;
using Microsoft.Extensions.Logging.Abstractions;

namespace NeoCommons.EfCore.Benchmarks.Limits;

/// <summary>What the limits add to an open that has to wait for nobody: a tenant's limiter, its permit, the pool's, the server's.</summary>
public class LimitsBenchmark : IDisposable
{
    private const int Count = 1_000;
    private const string OnOne = "on one thread";
    private const string Command = "a command of EF where commands_per_second is set";

    private readonly Admission _admission = new(TimeProvider.System);
    private readonly ConnectionPermits _permits = new();
    private readonly CancellationTokenSource _ending = new();
    private PooledDataSource? _source;
    private Thread? _other;
    private int _next;

    internal Tenant[] Tenants { get; private set; } = [];

    internal TenantLimiter[] Limiters { get; private set; } = [];

    internal static async Task RunAsync(bool quick, TextWriter report)
    {
        await report.WriteLineAsync(
            $"What an open and a close take and give back, {Count:N0} tenants, on a server with a budget."
        );
        await report.WriteLineAsync();
        var means = await Micro.RunAsync<LimitsBenchmark>(quick, report);
        var goals = new GoalsTable();
        foreach (var name in new[] { OnOne, Command })
        {
            goals.AtMost($"{name}: at most 1,000 ns", means[name], 1_000);
        }

        await report.WriteLineAsync();
        await goals.WriteAsync(report);
        await LimitsOfOneTenant.RunAsync(quick ? 3 : 15, report);
    }

    /// <summary>Makes a pool, which nobody connects.</summary>
    [GlobalSetup(Target = nameof(Alone))]
    public void SetUp() => SetUp(commandsPerSecond: null);

    /// <summary>Makes one whose tenants have a limit of commands, which they never reach.</summary>
    [GlobalSetup(Target = nameof(OneCommand))]
    public void SetUpCommands() => SetUp(commandsPerSecond: int.MaxValue);

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
                Use(permits, Tenants[i % Count]);
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
    [Benchmark(Description = OnOne)]
    public void Alone() => Use(_permits, Next());

    /// <summary>One of two.</summary>
    [Benchmark(Description = "on each of two threads that do nothing else (bytes of both)")]
    public void WithAnother() => Use(_permits, Next());

    /// <summary>What is asked before each command.</summary>
    [Benchmark(Description = Command)]
    public void OneCommand() => Limiters[_next = (_next + 1) % Count].CountCommand(null);

    // A pooled context keeps its permits' object from lease to lease.
    internal void Use(ConnectionPermits permits, Tenant tenant)
    {
        permits.Limiter = _source!.Tenants.Enter(tenant, _source.Row);
        permits.Choose(_source);
        var admitted = _admission.AdmitAsync(permits, _source, OpenUse.Lease, async: true, CancellationToken.None);
        if (!admitted.IsCompletedSuccessfully)
        {
            throw new InvalidOperationException("Nobody has to wait here.");
        }

        permits.End();
    }

    private void SetUp(int? commandsPerSecond)
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
            new ConnectionOptions { Quotas = { TenantCommandsPerSecond = commandsPerSecond } },
            NullLoggerFactory.Instance,
            TimeProvider.System
        )
        {
            Server = new ServerBudget("localhost:5432", given: 100, wanted: null),
        };
        _source.Server.Join(_source);
        Tenants = [.. Enumerable.Range(0, Count).Select(i => MemoryRegistry.NewTenant(i))];
        Limiters = [.. Tenants.Select(tenant => _source.Tenants.Enter(tenant, _source.Row))];
    }

    private Tenant Next() => Tenants[_next = (_next + 1) % Count];
}
