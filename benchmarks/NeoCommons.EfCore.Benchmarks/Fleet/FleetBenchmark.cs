using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Admin;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Fleet;

/// <summary>Ten migrations of twenty tables for each tenant: ours, psql with the same SQL, and loops of MigrateAsync.</summary>
internal static class FleetBenchmark
{
    private const int Parallelism = 4;
    private const int Rounds = 3;

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        await report.WriteLineAsync(
            $"20 tables by 10 migrations for each tenant; psql with the same SQL and ours do {Parallelism} at a time on each server; "
                + "in turn, now this one first and now that, the median of the rounds, and the least and the most of their ratios. All servers share this machine, so more of them show what more servers cost, not what they gain. "
                + "The loops are EF's own way: one connection string for each tenant. They migrate fewer tenants, and their seconds are extrapolated from those, which flatters them, since the catalog stays small."
        );
        await report.WriteLineAsync();
        await report.WriteLineAsync($"| {BesidePsql.Columns} |");
        await report.WriteLineAsync("|---|---|---|---|---|---|---|");
        var goals = new GoalsTable();
        await using (var first = await NewServerAsync())
        {
            // What is compiled at the first use is no part of it.
            await OursAsync([first], 4);
            await LoopAsync(first, 4, Parallelism, pooled: true);
            var few = quick ? 15 : 100;
            var rounds = quick ? 1 : Rounds;
            await CompareAsync([first], few, rounds, looped: few / 5, report, goals);
            if (!quick)
            {
                await CompareAsync([first], 1_000, rounds, looped: 40, report, goals);
            }

            await using var second = await NewServerAsync();
            await CompareAsync([first, second], quick ? few : 1_000, rounds, looped: 0, report, goals);
            if (!quick)
            {
                await using var third = await NewServerAsync();
                await using var fourth = await NewServerAsync();
                await CompareAsync([first, second, third, fourth], few, rounds, looped: 0, report, goals);
                await CompareAsync([first, second, third, fourth], 1_000, rounds, looped: 0, report, goals);
            }
        }

        await report.WriteLineAsync();
        await using var server = await NewServerAsync();
        foreach (var tenants in quick ? new[] { 10, 30 } : [100, 1_000])
        {
            await using var app = await FleetApp.StartAsync(server, tenants);
            await MemoryAsync(app, tenants, report);
            await NothingAsync(app, server, tenants, report, goals);
        }

        await report.WriteLineAsync();
        await goals.WriteAsync(report);
    }

    private static Task<PostgresServer> NewServerAsync() => PostgresServer.StartAsync(new() { MaxConnections = 100 });

    private static async Task CompareAsync(
        IReadOnlyList<PostgresServer> servers,
        int tenants,
        int rounds,
        int looped,
        TextWriter report,
        GoalsTable goals
    )
    {
        var ways = new List<(string Name, Func<Task<double>> Run)>
        {
            ("psql, the same SQL", () => PsqlAsync(servers, tenants)),
            ("ITenantMigrator.MigrateAllAsync", () => OursAsync(servers, tenants)),
        };
        if (looped > 0)
        {
            ways.Add(Loop("one after the other, without a pool", atOnce: 1, pooled: false));
            ways.Add(Loop($"{Parallelism} at a time, with a pool for each tenant", Parallelism, pooled: true));
        }

        var seconds = await BesidePsql.CompareAsync(report, "fleet", tenants, servers.Count, rounds, ways);
        var on = $"{tenants:N0} tenants, {BesidePsql.Servers(servers.Count)}";
        goals.AtMost($"{on}: at most 1.3 times psql", BesidePsql.RatioOf(seconds[1], seconds[0]), 1.3);
        for (var way = 2; way < ways.Count; way++)
        {
            goals.AtLeast(
                $"{on}: at least 10 times faster than {ways[way].Name}",
                BesidePsql.RatioOf(seconds[way], seconds[1]),
                10
            );
        }

        (string Name, Func<Task<double>> Run) Loop(string how, int atOnce, bool pooled) =>
            (
                $"a loop of Database.MigrateAsync(), {how} (extrapolated from {looped} tenants)",
                async () => await LoopAsync(servers[0], looped, atOnce, pooled) * tenants / looped
            );
    }

    private static async Task<double> OursAsync(IReadOnlyList<PostgresServer> servers, int tenants)
    {
        await using var app = await FleetApp.StartAsync(servers, tenants);
        await app.SettleAsync();
        var watch = Stopwatch.StartNew();
        var run = await app.Migrator.MigrateAllAsync(new() { ParallelismPerServer = Parallelism });
        var seconds = watch.Elapsed.TotalSeconds;
        return run.Done == tenants ? seconds : throw new InvalidOperationException($"{run.Failed} tenants failed.");
    }

    private static async Task<double> PsqlAsync(IReadOnlyList<PostgresServer> servers, int tenants)
    {
        await using var app = await FleetApp.StartAsync(servers, tenants);
        return await PlainScript.RunAsync(app, Parallelism, tenants, createsSchemas: false);
    }

    private static async Task<double> LoopAsync(PostgresServer server, int tenants, int atOnce, bool pooled)
    {
        await using var app = await FleetApp.StartAsync(server, tenants);
        await app.SettleAsync();
        var watch = Stopwatch.StartNew();
        await Parallel.ForEachAsync(
            Enumerable.Range(1, tenants),
            new ParallelOptions { MaxDegreeOfParallelism = atOnce },
            async (tenant, ct) =>
            {
                var schema = FleetApp.SchemaOf(tenant);
                var options = new DbContextOptionsBuilder<FleetContext>();
                options.UseNpgsql(
                    server.GetConnectionString(app.Database) + $";Search Path={schema};Pooling={pooled}",
                    n => n.MigrationsHistoryTable("__EFMigrationsHistory", schema)
                );
                await using var context = new FleetContext(options.Options);
                await context.Database.MigrateAsync(ct);
                if (pooled)
                {
                    // Each tenant has a pool of its own, and the server would run out of connections.
                    NpgsqlConnection.ClearPool((NpgsqlConnection)context.Database.GetDbConnection());
                }
            }
        );
        return watch.Elapsed.TotalSeconds;
    }

    private static async Task NothingAsync(
        FleetApp app,
        PostgresServer server,
        int tenants,
        TextWriter report,
        GoalsTable goals
    )
    {
        await app.Migrator.MigrateAllAsync();
        var times = new List<double>();
        for (var i = 0; i < 9; i++)
        {
            var watch = Stopwatch.StartNew();
            await app.Migrator.MigrateAllAsync();
            times.Add(watch.Elapsed.TotalMilliseconds);
        }

        // What it is counted by takes time itself, so it is timed before.
        await using var proxy = TcpFaultProxy.Start(server.Host, server.Port);
        await app.RedirectAsync(proxy.Host, proxy.Port);
        await app.ReloadAsync();
        await app.Migrator.MigrateAllAsync();
        proxy.ResetCounters();
        await app.Migrator.MigrateAllAsync();
        await report.WriteLineAsync(
            Numbers.Text(
                $"Nothing to do, {tenants:N0} tenants: {Numbers.Median(times):0} ms ({times.Min():0}-{times.Max():0}), {proxy.Counters.RoundTrips} round trips to their database, login included."
            )
        );
        goals.AtMost($"{tenants:N0} tenants, nothing to do: at most 150 ms", Numbers.Spread(times), 150);
    }

    private static async Task MemoryAsync(FleetApp app, int tenants, TextWriter report)
    {
        await app.Migrator.PlanAsync();
        var before = Heap.Bytes();
        var most = long.MinValue;
        await app.Migrator.MigrateAllAsync(
            new() { ParallelismPerServer = Parallelism },
            new Sampler(done =>
            {
                if (done % (tenants / 10) == 0)
                {
                    most = Math.Max(most, Heap.Bytes() - before);
                }
            })
        );
        await report.WriteLineAsync(
            Numbers.Text(
                $"Memory of a run over {tenants:N0} tenants: {most / 1024.0 / 1024.0:0.00} MiB more than before, the most of ten samples; {(Heap.Bytes() - before) / 1024.0 / 1024.0:0.00} MiB after it."
            )
        );
    }

    private sealed class Sampler(Action<int> sample) : IProgress<MigrationProgress>
    {
        public void Report(MigrationProgress value)
        {
            if (value.Tenant is not null)
            {
                sample(value.Run.Done);
            }
        }
    }
}
