using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Acquire;

/// <summary>How long callers wait for a connection, for a refusal, and for the health of a thousand connections.</summary>
internal static class AcquireBenchmark
{
    private const int Workers = 64;
    private const int Tenants = 100;
    private const int Rounds = 7;

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        var operations = quick ? 200 : 1_000;
        await using var server = await PostgresServer.StartAsync();
        await using var app = new AcquireApp(server, Tenants);
        await app.StartAsync(server);
        var contexts = app.Services.GetRequiredService<ITenantDbContextFactory<AcquireApp.EmptyContext>>();
        await using var plain = new NpgsqlDataSourceBuilder(server.ConnectionString)
        {
            ConnectionStringBuilder = { MaxPoolSize = AcquireApp.PoolSize, SslMode = SslMode.Disable },
        }.Build();

        var (ours, theirs) = (new List<(double Wait, double All)>(), new List<(double Wait, double All)>());
        for (var round = 0; round <= Rounds; round++)
        {
            var one = await MeasureAsync(operations, PlainAsync);
            var other = await MeasureAsync(operations, TenantAsync);

            // The first round opens the connections.
            if (round > 0)
            {
                theirs.Add(one);
                ours.Add(other);
            }
        }

        await report.WriteLineAsync(
            $"{Workers} workers on {AcquireApp.PoolSize} connections, {Tenants} tenants at random; each opens, asks `SELECT 1` and closes, "
                + $"{operations} times; the median of {Rounds} rounds in turn"
        );
        await report.WriteLineAsync();
        await report.WriteLineAsync("| | average wait for a connection, ms | operations/s |");
        await report.WriteLineAsync("|---|---|---|");
        await LineAsync("plain Npgsql, no tenants", theirs);
        await LineAsync("a tenant's context", ours);
        var ratio = Numbers.Median([.. ours.Zip(theirs, (o, t) => o.Wait / t.Wait)]);
        await report.WriteLineAsync(Numbers.Text($"| ratio of the waits (goal: 1.1) | {ratio:0.00} | |"));

        await report.WriteLineAsync();
        await report.WriteLineAsync("| answers that ask no server | ms |");
        await report.WriteLineAsync("|---|---|");
        await report.WriteLineAsync(
            Numbers.Text(
                $"| a context of a connection that is out of order (goal: 5) | {await RefusalAsync(contexts, app):0.000} |"
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
            Numbers.Text($"| all health checks, 1,000 connections (goal: 5) | {Numbers.Median(times):0.000} |")
        );

        async Task LineAsync(string name, List<(double Wait, double All)> all) =>
            await report.WriteLineAsync(
                Numbers.Text(
                    $"| {name} | {Numbers.Median([.. all.Select(a => a.Wait)]):0.00} | {Numbers.Median([.. all.Select(a => a.All)]):0} |"
                )
            );

        async Task<double> PlainAsync(Random random)
        {
            var watch = Stopwatch.StartNew();
            await using var connection = await plain.OpenConnectionAsync();
            var waited = watch.Elapsed.TotalMilliseconds;
            await using var command = new NpgsqlCommand("SELECT 1", connection);
            await command.ExecuteNonQueryAsync();
            return waited;
        }

        async Task<double> TenantAsync(Random random)
        {
            var watch = Stopwatch.StartNew();
            await using var context = await contexts.CreateDbContextAsync(app.Tenants[random.Next(Tenants)].Id);
            await context.Database.OpenConnectionAsync();
            var waited = watch.Elapsed.TotalMilliseconds;
            await using var command = new NpgsqlCommand(
                "SELECT 1",
                (NpgsqlConnection)context.Database.GetDbConnection()
            );
            await command.ExecuteNonQueryAsync();
            return waited;
        }
    }

    private static async Task<(double Wait, double All)> MeasureAsync(int operations, Func<Random, Task<double>> once)
    {
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
        return (waits.Average(), Workers * operations / watch.Elapsed.TotalSeconds);
    }

    private static async Task<double> RefusalAsync(
        ITenantDbContextFactory<AcquireApp.EmptyContext> contexts,
        AcquireApp app
    )
    {
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
