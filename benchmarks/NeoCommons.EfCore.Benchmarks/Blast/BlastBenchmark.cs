using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Benchmarks.Acquire;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Blast;

/// <summary>What a tenant that misbehaves costs the others: their times beside those of quiet rounds in between.</summary>
internal static class BlastBenchmark
{
    private const int Others = 8;

    // The driver takes it for the server's own trouble, and closes all idle connections of the pool.
    private const string Raise = "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '53200'; END $$";
    private const string RaiseSlowly =
        "DO $$ BEGIN PERFORM pg_sleep(1); RAISE EXCEPTION 'x' USING ERRCODE = '53200'; END $$";
    private const double Goal = 2;

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        var (rounds, operations) = quick ? (3, 300) : (7, 2_000);
        await using var server = await PostgresServer.StartAsync();
        await using var app = new AcquireApp(server, Others + 1);
        await app.StartAsync(server);
        var contexts = app.Services.GetRequiredService<ITenantDbContextFactory<AcquireApp.EmptyContext>>();
        var guilty = app.Tenants[Others];
        Dictionary<string, Func<CancellationToken, Task>> deeds = new()
        {
            ["nothing"] = _ => Task.CompletedTask,
            ["sleeps on all its slots, 100 callers"] = ct =>
                Task.WhenAll(Enumerable.Range(0, 100).Select(_ => RepeatAsync("SELECT pg_sleep(60)", ct))),
            ["raises 53200 in a loop, 4 callers"] = ct =>
                Task.WhenAll(Enumerable.Range(0, 4).Select(_ => RepeatAsync(Raise, ct))),
            ["raises 53200 after a second each, 4 callers"] = ct =>
                Task.WhenAll(Enumerable.Range(0, 4).Select(_ => RepeatAsync(RaiseSlowly, ct))),
        };
        await MeasureAsync(operations);
        var before = await MeasureAsync(operations);
        var found = await BesideAsync(deeds["raises 53200 in a loop, 4 callers"]);

        // In the round that is not kept who raises slowly is found out.
        var measured = await Rounds.InTurnAsync(
            rounds,
            deeds,
            async (deed, _) => await BesideAsync(deed.Value, deed.Key == "nothing" ? 0 : 500)
        );

        await report.WriteLineAsync(
            $"{Others} tenants, one caller each, {operations} contexts each that ask `SELECT 1`; a pool of {AcquireApp.PoolSize}; the median "
                + $"of {rounds} rounds in turn. Ratios are of the same round."
        );
        await report.WriteLineAsync();
        await report.WriteLineAsync("| what a ninth tenant does | median, ms | p99, ms | p99 of the first (goal: 2) |");
        await report.WriteLineAsync("|---|---|---|---|");
        var quiet = measured[0].Measured;
        await WriteAsync(
            "raises 53200 in a loop, 4 callers, while it is found out: once, of the quiet before",
            found.Median,
            found.P99,
            found.P99 / before.P99
        );
        foreach (var (deed, all) in measured)
        {
            var ratio = Numbers.Median([.. all.Zip(quiet, (o, q) => o.P99 / q.P99)]);
            var median = Numbers.Median([.. all.Select(a => a.Median)]);
            var p99 = Numbers.Median([.. all.Select(a => a.P99)]);
            await WriteAsync(deed.Key, median, p99, ratio);
        }

        Task WriteAsync(string deed, double median, double p99, double ratio) =>
            report.WriteLineAsync(
                Numbers.Text(
                    $"| {deed} | {median:0.000} | {p99:0.000} | {ratio:0.00}{(ratio > Goal ? " MISSED" : "")} |"
                )
            );

        // It begins a moment before, unless it is to be found out meanwhile.
        async Task<(double Median, double P99)> BesideAsync(Func<CancellationToken, Task> deed, int head = 0)
        {
            using var over = new CancellationTokenSource();
            var doing = deed(over.Token);
            await Task.Delay(head, CancellationToken.None);
            var one = await MeasureAsync(operations);
            await over.CancelAsync();
            await doing;
            return one;
        }

        async Task<(double Median, double P99)> MeasureAsync(int count)
        {
            var times = await Task.WhenAll(
                app.Tenants.Take(Others).Select(tenant => Task.Run(() => WorkAsync(tenant, count)))
            );
            double[] all = [.. times.SelectMany(t => t).Order()];
            return (all[all.Length / 2], all[all.Length * 99 / 100]);
        }

        async Task<double[]> WorkAsync(Tenant tenant, int count)
        {
            var times = new double[count];
            for (var i = 0; i < count; i++)
            {
                var watch = Stopwatch.StartNew();
                await AskAsync(tenant, "SELECT 1", CancellationToken.None);
                times[i] = watch.Elapsed.TotalMilliseconds;
            }

            return times;
        }

        async Task RepeatAsync(string sql, CancellationToken ct)
        {
            while (!ct.IsCancellationRequested)
            {
                try
                {
                    await AskAsync(guilty, sql, ct);
                }
                catch (PostgresException)
                {
                    await Task.Yield();
                }
                catch (Exception) when (ct.IsCancellationRequested)
                {
                    return;
                }
            }
        }

        async Task AskAsync(Tenant tenant, string sql, CancellationToken ct)
        {
            await using var context = await contexts.CreateDbContextAsync(tenant.Id, ct);
            await context.Database.ExecuteSqlRawAsync(sql, ct);
        }
    }
}
