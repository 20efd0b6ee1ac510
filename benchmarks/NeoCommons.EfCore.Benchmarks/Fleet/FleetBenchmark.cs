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
        var tenants = quick ? 100 : 1_000;
        var looped = quick ? 20 : 100;
        await using var server = await PostgresServer.StartAsync(new() { MaxConnections = 100 });
        var ours = new List<double>();
        var psql = new List<double>();
        var loop = new List<double>();
        for (var round = 0; round < (quick ? 1 : Rounds); round++)
        {
            psql.Add(await PsqlAsync(server, tenants));
            ours.Add(await OursAsync(server, tenants));
            loop.Add(await LoopAsync(server, looped) * tenants / looped);
        }

        await report.WriteLineAsync(
            $"{tenants} tenants x 20 tables x 10 migrations, {Parallelism} at a time, rounds interleaved, median"
        );
        await report.WriteLineAsync();
        await report.WriteLineAsync("| way | s | ratio to psql |");
        await report.WriteLineAsync("|---|---|---|");
        await LineAsync($"psql, the same SQL, {Parallelism} processes", psql);
        await LineAsync("ITenantMigrator.MigrateAllAsync", ours);
        await LineAsync($"a loop of Database.MigrateAsync() (from {looped} tenants)", loop);
        await NothingAsync(server, tenants, report);
        await MemoryAsync(server, quick, report);

        Task LineAsync(string name, List<double> seconds) =>
            report.WriteLineAsync(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"| {name} | {Numbers.Median(seconds):0.00} | {Numbers.Median([.. seconds.Zip(psql, (s, p) => s / p)]):0.00} |"
                )
            );
    }

    private static async Task<double> OursAsync(PostgresServer server, int tenants)
    {
        await using var app = await FleetApp.StartAsync(server, tenants);
        var watch = Stopwatch.StartNew();
        var run = await app.Migrator.MigrateAllAsync(new() { ParallelismPerServer = Parallelism });
        var seconds = watch.Elapsed.TotalSeconds;
        return run.Done == tenants ? seconds : throw new InvalidOperationException($"{run.Failed} tenants failed.");
    }

    private static async Task<double> PsqlAsync(PostgresServer server, int tenants)
    {
        await using var app = await FleetApp.StartAsync(server, tenants);
        var folder = Directory.CreateTempSubdirectory("fleet-");
        try
        {
            var files = new List<string>();
            for (var worker = 0; worker < Parallelism; worker++)
            {
                files.Add(Path.Combine(folder.FullName, $"{worker}.sql"));
                await using var file = File.CreateText(files[^1]);
                for (var tenant = worker + 1; tenant <= tenants; tenant += Parallelism)
                {
                    await file.WriteLineAsync(
                        $"BEGIN;\nSET LOCAL search_path = {FleetApp.SchemaOf(tenant)};\n{PlainScript.Text}\nCOMMIT;"
                    );
                }
            }

            var watch = Stopwatch.StartNew();
            await Task.WhenAll(files.Select(f => Psql.RunAsync(server, app.Database, f)));
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
        foreach (var tenants in quick ? new[] { 20, 200 } : [100, 1_000])
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
