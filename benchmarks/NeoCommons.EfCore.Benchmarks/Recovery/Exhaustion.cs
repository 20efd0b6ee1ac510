using System.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Recovery;

/// <summary>A pool whose connections are all taken, and 200 callers who wait for one: when each of them gets his answer (T12).</summary>
internal static class Exhaustion
{
    private const int PoolSize = 20;
    private const int Callers = 200;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2);

    public static async Task RunAsync(TextWriter report)
    {
        await using var server = await PostgresServer.StartAsync();
        await report.WriteLineAsync();
        await report.WriteLineAsync(
            $"All {PoolSize} connections of a pool are taken, and {Callers} callers wait, {Timeout.TotalSeconds} s at most. Half of them give up after "
                + "half a second, from when the slowest answer is measured; then another 200 wait, and the pool is closed."
        );
        await report.WriteLineAsync();
        await report.WriteLineAsync(
            "| way | the slowest who gave up, ms (goal: 50) | who did not: of the timeout (goal: 0.9-1.1) | the slowest when the pool is closed, ms |"
        );
        await report.WriteLineAsync("|---|---|---|---|");

        var row = MemoryRegistry.RowOf(server) with { MaxPoolSize = PoolSize, PoolTimeout = Timeout };
        var registry = new MemoryRegistry([row], []);
        var services = new ServiceCollection();
        services.AddSingleton<IConnectionRegistry>(registry);
        services.AddSingleton<ITenantStore>(registry);
        services.AddNeoCommons(new ConfigurationBuilder().Build());
        await using (var provider = services.BuildServiceProvider())
        {
            var connections = provider.GetRequiredService<IDatabaseConnections>();
            await WriteAsync(
                "ours",
                ct => connections.OpenConnectionAsync(row.Name, ct),
                () => _ = connections.CloseAsync(row.Name),
                report
            );
        }

        await using var plain = new NpgsqlDataSourceBuilder(server.ConnectionString)
        {
            ConnectionStringBuilder =
            {
                MaxPoolSize = PoolSize,
                Timeout = (int)Timeout.TotalSeconds,
                SslMode = SslMode.Disable,
            },
        }.Build();
        await WriteAsync("plain Npgsql", plain.OpenConnectionAsync, plain.Dispose, report);
    }

    private static async Task WriteAsync(
        string way,
        Func<CancellationToken, ValueTask<NpgsqlConnection>> open,
        Action close,
        TextWriter report
    )
    {
        var held = await Task.WhenAll(Enumerable.Range(0, PoolSize).Select(_ => open(CancellationToken.None).AsTask()));

        // Once before, for what is compiled at first.
        await WaitAsync(open);
        var (gaveUp, timedOut) = await WaitAsync(open);

        var closing = Stopwatch.StartNew();
        var waiting = Enumerable.Range(0, Callers).Select(_ => EndAsync(open, CancellationToken.None)).ToList();
        await Task.Delay(500);
        closing.Restart();
        close();
        await Task.WhenAll(waiting);
        var closed = closing.Elapsed;
        foreach (var connection in held)
        {
            await connection.DisposeAsync();
        }

        var (least, most) = (timedOut.Min() / Timeout, timedOut.Max() / Timeout);
        await report.WriteLineAsync(
            Numbers.Text(
                $"| {way} | {gaveUp.Max().TotalMilliseconds:0}{(gaveUp.Max().TotalMilliseconds > 50 ? " MISSED" : "")} | {least:0.00}-{most:0.00}{(least < 0.9 || most > 1.1 ? " MISSED" : "")} | {closed.TotalMilliseconds:0} |"
            )
        );
    }

    private static async Task<(IReadOnlyList<TimeSpan> GaveUp, IReadOnlyList<TimeSpan> TimedOut)> WaitAsync(
        Func<CancellationToken, ValueTask<NpgsqlConnection>> open
    )
    {
        using var cancelling = new CancellationTokenSource();
        var patient = Enumerable.Range(0, Callers / 2).Select(_ => EndAsync(open, CancellationToken.None)).ToList();
        var others = Enumerable.Range(0, Callers / 2).Select(_ => EndAsync(open, cancelling.Token)).ToList();
        await Task.Delay(500);
        var cancelled = Stopwatch.GetTimestamp();
        await cancelling.CancelAsync();
        var gaveUp = await Task.WhenAll(others);
        return (
            [.. gaveUp.Select(call => Stopwatch.GetElapsedTime(cancelled, call.End))],
            [.. (await Task.WhenAll(patient)).Select(call => Stopwatch.GetElapsedTime(call.Start, call.End))]
        );
    }

    private static async Task<(long Start, long End)> EndAsync(
        Func<CancellationToken, ValueTask<NpgsqlConnection>> open,
        CancellationToken ct
    )
    {
        var start = Stopwatch.GetTimestamp();
        try
        {
            await using var connection = await open(ct);
        }
        catch (Exception e) when (e is NpgsqlException or ConnectionUnavailableException or OperationCanceledException)
        {
            // That is the answer.
        }

        return (start, Stopwatch.GetTimestamp());
    }
}
