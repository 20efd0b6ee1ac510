using System.Diagnostics;
using System.Globalization;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Admin;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks.Fleet;

/// <summary>Ten migrations of twenty tables for each tenant: ours, psql with the same SQL, and a loop of MigrateAsync.</summary>
internal static class FleetBenchmark
{
    private const int Parallelism = 4;
    private const int Rounds = 3;

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        await report.WriteLineAsync(
            $"20 tables by 10 migrations for each tenant; psql with the same SQL and ours do {Parallelism} at a time on each server; "
                + "in turn, now this one first and now that, the median of the rounds, and the least and the most of their ratios. All servers share this machine, so more of them show what more servers cost, not what they gain."
        );
        await report.WriteLineAsync();
        await report.WriteLineAsync("| tenants | servers | rounds | way | s | ratio to psql | least-most |");
        await report.WriteLineAsync("|---|---|---|---|---|---|---|");
        await using (var first = await NewServerAsync())
        {
            var few = quick ? 20 : 100;
            var rounds = quick ? 1 : Rounds;
            await CompareAsync([first], few, rounds, looped: few / 5, report);
            if (!quick)
            {
                await CompareAsync([first], 1_000, rounds, looped: 100, report);
            }

            await using var second = await NewServerAsync();
            await CompareAsync([first, second], few, rounds, looped: 0, report);
            if (!quick)
            {
                await using var third = await NewServerAsync();
                await using var fourth = await NewServerAsync();
                await CompareAsync([first, second, third, fourth], few, rounds, looped: 0, report);
                await CompareAsync([first, second, third, fourth], 1_000, rounds, looped: 0, report);
            }
        }

        await using var server = await NewServerAsync();
        await NothingAsync(server, quick ? 30 : 1_000, report);
        await MemoryAsync(server, quick, report);
    }

    private static Task<PostgresServer> NewServerAsync() => PostgresServer.StartAsync(new() { MaxConnections = 100 });

    private static async Task CompareAsync(
        IReadOnlyList<PostgresServer> servers,
        int tenants,
        int rounds,
        int looped,
        TextWriter report
    )
    {
        var ours = new List<double>();
        var psql = new List<double>();
        var loop = new List<double>();
        for (var round = 0; round < rounds; round++)
        {
            await Console.Error.WriteLineAsync(
                $"fleet: {tenants:N0} tenants, {servers.Count} servers, round {round + 1}"
            );
            if (round % 2 == 0)
            {
                psql.Add(await PsqlAsync(servers, tenants));
                ours.Add(await OursAsync(servers, tenants));
            }
            else
            {
                ours.Add(await OursAsync(servers, tenants));
                psql.Add(await PsqlAsync(servers, tenants));
            }

            if (looped > 0)
            {
                loop.Add(await LoopAsync(servers[0], looped) * tenants / looped);
            }
        }

        await LineAsync("psql, the same SQL", psql);
        await LineAsync("ITenantMigrator.MigrateAllAsync", ours);
        if (looped > 0)
        {
            await LineAsync($"a loop of Database.MigrateAsync(), one after the other (from {looped} tenants)", loop);
        }

        Task LineAsync(string name, List<double> seconds)
        {
            double[] ratios = [.. seconds.Zip(psql, (s, p) => s / p)];
            return report.WriteLineAsync(
                Numbers.Text(
                    $"| {tenants:N0} | {servers.Count} | {rounds} | {name} | {Numbers.Median(seconds):0.00} | {Numbers.Median(ratios):0.00} | {ratios.Min():0.00}-{ratios.Max():0.00} |"
                )
            );
        }
    }

    private static async Task<double> OursAsync(IReadOnlyList<PostgresServer> servers, int tenants)
    {
        await using var app = await FleetApp.StartAsync(servers, tenants);
        var watch = Stopwatch.StartNew();
        var run = await app.Migrator.MigrateAllAsync(new() { ParallelismPerServer = Parallelism });
        var seconds = watch.Elapsed.TotalSeconds;
        return run.Done == tenants ? seconds : throw new InvalidOperationException($"{run.Failed} tenants failed.");
    }

    private static async Task<double> PsqlAsync(IReadOnlyList<PostgresServer> servers, int tenants)
    {
        await using var app = await FleetApp.StartAsync(servers, tenants);
        var folder = Directory.CreateTempSubdirectory("fleet-");
        try
        {
            var scripts = new List<(FleetDatabase Database, string File)>();
            var workers = Parallelism * servers.Count;
            for (var worker = 0; worker < workers; worker++)
            {
                var path = Path.Combine(folder.FullName, $"{worker}.sql");
                scripts.Add((app.Databases[worker % servers.Count], path));
                await using var file = File.CreateText(path);
                for (var tenant = worker + 1; tenant <= tenants; tenant += workers)
                {
                    await file.WriteLineAsync(
                        $"BEGIN;\nSET LOCAL search_path = {FleetApp.SchemaOf(tenant)};\n{PlainScript.Text}\nCOMMIT;"
                    );
                }
            }

            var watch = Stopwatch.StartNew();
            await Task.WhenAll(scripts.Select(s => Psql.RunAsync(s.Database.Server, s.Database.Name, s.File)));
            return watch.Elapsed.TotalSeconds;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task<double> LoopAsync(PostgresServer server, int tenants)
    {
        await using var app = await FleetApp.StartAsync(server, tenants);
        var watch = Stopwatch.StartNew();
        for (var tenant = 1; tenant <= tenants; tenant++)
        {
            var schema = FleetApp.SchemaOf(tenant);
            var options = new DbContextOptionsBuilder<FleetContext>();
            options.UseNpgsql(
                server.GetConnectionString(app.Database) + $";Search Path={schema};Pooling=false",
                n => n.MigrationsHistoryTable("__EFMigrationsHistory", schema)
            );
            await using var context = new FleetContext(options.Options);
            await context.Database.MigrateAsync();
        }

        return watch.Elapsed.TotalSeconds;
    }

    private static async Task NothingAsync(PostgresServer server, int tenants, TextWriter report)
    {
        await using var app = await FleetApp.StartAsync(server, tenants);
        await app.Migrator.MigrateAllAsync(new() { ParallelismPerServer = Parallelism });
        await using var proxy = TcpFaultProxy.Start(server.Host, server.Port);
        await app.RedirectAsync(proxy.Host, proxy.Port);
        await app.ReloadAsync();
        var times = new List<double>();
        long trips = 0;
        for (var i = 0; i < 5; i++)
        {
            proxy.ResetCounters();
            var watch = Stopwatch.StartNew();
            await app.Migrator.MigrateAllAsync();
            times.Add(watch.Elapsed.TotalMilliseconds);
            trips = proxy.Counters.RoundTrips;
        }

        await report.WriteLineAsync();
        await report.WriteLineAsync(
            string.Create(
                CultureInfo.InvariantCulture,
                $"Nothing to do, {tenants} tenants: {Numbers.Median(times):0} ms, {trips} round trips to their database, login included."
            )
        );
    }

    private static async Task MemoryAsync(PostgresServer server, bool quick, TextWriter report)
    {
        await report.WriteLineAsync();
        foreach (var tenants in quick ? new[] { 10, 30 } : [100, 1_000])
        {
            await using var app = await FleetApp.StartAsync(server, tenants);
            await app.Migrator.PlanAsync();
            var before = GC.GetTotalMemory(forceFullCollection: true);
            long most = 0;
            await app.Migrator.MigrateAllAsync(
                new() { ParallelismPerServer = Parallelism },
                new Sampler(done =>
                {
                    if (done % (tenants / 10) == 0)
                    {
                        most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: true) - before);
                    }
                })
            );
            await report.WriteLineAsync(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Memory of a run over {tenants} tenants: {most / 1024.0 / 1024.0:0.00} MiB more than before, at most."
                )
            );
        }
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
