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

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        var (rounds, operations) = quick ? (3, 100) : (7, 1_000);
        await using var server = await PostgresServer.StartAsync();
        await using var app = new AcquireApp(server, Tenants);
        await app.StartAsync(server);
        var contexts = app.Services.GetRequiredService<ITenantDbContextFactory<AcquireApp.EmptyContext>>();
        await using var plain = new NpgsqlDataSourceBuilder(server.ConnectionString)
        {
            ConnectionStringBuilder = { MaxPoolSize = AcquireApp.PoolSize, SslMode = SslMode.Disable },
        }.Build();

        var connections = app.Services.GetRequiredService<IDatabaseConnections>();
        await report.WriteLineAsync(
            $"{Workers} workers on {AcquireApp.PoolSize} connections, {Tenants} tenants at random; each opens, asks and closes, {operations} "
                + $"times; the median of {rounds} rounds in turn. Ratios are of the same round."
        );
        foreach (var (asked, sql) in new[] { ("`SELECT 1`", "SELECT 1"), ("2 ms", "SELECT pg_sleep(0.002)") })
        {
            Dictionary<string, Func<Random, Task<double>>> doors = new()
            {
                ["plain Npgsql, no tenants"] = async _ => await AskAsync(() => plain.OpenConnectionAsync()),
                ["`OpenTenantConnectionAsync`"] = async random =>
                    await AskAsync(() => connections.OpenTenantConnectionAsync(TenantOf(random).Id)),
                ["a tenant's context, pooled"] = ContextAsync,
            };
            var measured = await Rounds.InTurnAsync(rounds, doors, (door, _) => MeasureAsync(operations, door.Value));

            await report.WriteLineAsync();
            await report.WriteLineAsync(
                $"| asked: {asked} | average wait for a connection, ms (goal: 10) | of the first (goal: 1.1) | operations/s |"
            );
            await report.WriteLineAsync("|---|---|---|---|");
            var first = measured[0].Measured;
            foreach (var (door, all) in measured)
            {
                var wait = Numbers.Median([.. all.Select(a => a.Wait)]);
                var ratio = Numbers.Median([.. all.Zip(first, (o, t) => o.Wait / t.Wait)]);
                var perSecond = Numbers.Median([.. all.Select(a => a.All)]);
                await report.WriteLineAsync(
                    Numbers.Text(
                        $"| {door.Key} | {wait:0.00}{(wait > 10 ? " MISSED" : "")} | {ratio:0.00}{(ratio > 1.1 ? " MISSED" : "")} | {perSecond:0} |"
                    )
                );
            }

            async Task<double> AskAsync(Func<ValueTask<NpgsqlConnection>> open)
            {
                var watch = Stopwatch.StartNew();
                await using var connection = await open();
                var waited = watch.Elapsed.TotalMilliseconds;
                await using var command = new NpgsqlCommand(sql, connection);
                await command.ExecuteNonQueryAsync();
                return waited;
            }

            async Task<double> ContextAsync(Random random)
            {
                var watch = Stopwatch.StartNew();
                await using var context = await contexts.CreateDbContextAsync(TenantOf(random).Id);
                await context.Database.OpenConnectionAsync();
                var waited = watch.Elapsed.TotalMilliseconds;
                await using var command = new NpgsqlCommand(sql, (NpgsqlConnection)context.Database.GetDbConnection());
                await command.ExecuteNonQueryAsync();
                return waited;
            }
        }

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
            Numbers.Text(
                $"| all health checks, 1,000 connections of which 2 are in use (goal: 5) | {Numbers.Median(times):0.000} |"
            )
        );

        Tenant TenantOf(Random random) => app.Tenants[random.Next(Tenants)];
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
