using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks.Acquire;

/// <summary>How long callers wait for a connection, for a refusal, and for the health of a thousand connections.</summary>
internal static class AcquireBenchmark
{
    private const int Workers = 64;
    private const int Tenants = 100;

    private static readonly (string Name, string Sql)[] Asked =
    [
        ("`SELECT 1`", "SELECT 1"),
        ("2 ms", "SELECT pg_sleep(0.002)"),
        ("4 ms", "SELECT pg_sleep(0.004)"),
    ];

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        var (rounds, operations) = quick ? (3, 20) : (7, 500);
        await using var server = await PostgresServer.StartAsync();
        await using var app = new AcquireApp(server, Tenants);
        await app.StartAsync(server);
        await using var doors = new AcquireDoors(server, app);
        await report.WriteLineAsync(
            $"{Workers} workers on {AcquireApp.PoolSize} connections, {Tenants} tenants at random; each opens, asks and closes, {operations} "
                + $"times; the median of {rounds} rounds in turn, and the middle half of the ratios, which are of the same round. Time of the "
                + "processor is the client's, of both its processors together."
        );
        foreach (var (asked, sql) in Asked)
        {
            var measured = await Rounds.InTurnAsync(
                rounds,
                doors.Asking(sql),
                (door, _) => MeasureAsync(operations, door.Once)
            );
            await report.WriteLineAsync();
            await report.WriteLineAsync(
                $"| asked: {asked} | average wait for a connection, ms (goal: 10) | of plain Npgsql (goal: 1.1) | middle half | "
                    + "of EF without tenants | operations/s | client's processor time, us |"
            );
            await report.WriteLineAsync("|---|---|---|---|---|---|---|");
            foreach (var (door, all) in measured)
            {
                var wait = Numbers.Median([.. all.Select(a => a.Wait)]);
                var ratio = RatioTo(AcquireDoors.Plain);
                var toEf = RatioTo(AcquireDoors.PlainContext).Median;
                await report.WriteLineAsync(
                    $"| {door.Name} | {wait:0.00}{(wait > 10 ? " MISSED" : "")} | {ratio.Median:0.00}{(ratio.Median > 1.1 ? " MISSED" : "")} | "
                        + $"{ratio.From:0.00}-{ratio.To:0.00} | {toEf:0.00} | {Numbers.Median([.. all.Select(a => a.PerSecond)]):0} | "
                        + $"{Numbers.Median([.. all.Select(a => a.Processor)]):0} |"
                );

                (double Median, double From, double To) RatioTo(string name) =>
                    Numbers.Ratio(
                        all.Select(a => a.Wait),
                        measured.Single(way => way.Way.Name == name).Measured.Select(a => a.Wait)
                    );
            }
        }

        await report.WriteLineAsync();
        await report.WriteLineAsync("| answers that ask no server | ms |");
        await report.WriteLineAsync("|---|---|");
        await report.WriteLineAsync(
            Numbers.Text(
                $"| a context of a connection that is out of order (goal: 5) | {await RefusalAsync(app):0.000} |"
            )
        );
        var health = app.Services.GetRequiredService<HealthCheckService>();
        var times = new List<double>();
        for (var i = 0; i < 100; i++)
        {
            var watch = Stopwatch.StartNew();
            await health.CheckHealthAsync();
            times.Add(watch.Elapsed.TotalMilliseconds);
        }

        await report.WriteLineAsync(
            Numbers.Text(
                $"| all health checks, 1,000 connections of which 2 are in use (goal: 5) | {Numbers.Median(times):0.000} |"
            )
        );
    }

    private static async Task<Waits> MeasureAsync(int operations, Func<Random, Task<double>> once)
    {
        var processor = Environment.CpuUsage.TotalTime;
        var watch = Stopwatch.StartNew();
        var waits = await Task.WhenAll(
            Enumerable
                .Range(0, Workers)
                .Select(worker =>
                    Task.Run(async () =>
                    {
                        var random = new Random(worker);
                        var waited = 0.0;
                        for (var i = 0; i < operations; i++)
                        {
                            waited += await once(random);
                        }

                        return waited / operations;
                    })
                )
        );
        var all = Workers * operations;
        return new Waits(
            waits.Average(),
            all / watch.Elapsed.TotalSeconds,
            (Environment.CpuUsage.TotalTime - processor).TotalMicroseconds / all
        );
    }

    private sealed record Waits(double Wait, double PerSecond, double Processor);

    private static async Task<double> RefusalAsync(AcquireApp app)
    {
        var contexts = app.Services.GetRequiredService<ITenantDbContextFactory<AcquireApp.EmptyContext>>();
        var times = new List<double>();
        while (times.Count < 1_000)
        {
            var watch = Stopwatch.StartNew();
            try
            {
                await using var context = await contexts.CreateDbContextAsync(app.DeadTenant.Id);
                await context.Database.OpenConnectionAsync();
            }
            catch (ConnectionUnavailableException e) when (e.Reason == ConnectionUnavailableReason.CircuitOpen)
            {
                times.Add(watch.Elapsed.TotalMilliseconds);
            }
            catch (ConnectionUnavailableException)
            {
                // Not yet out of order.
            }
        }

        return times.Average();
    }
}
