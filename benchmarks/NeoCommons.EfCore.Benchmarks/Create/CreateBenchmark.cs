using System.Diagnostics;
using NeoCommons.EfCore.Admin;
using NeoCommons.EfCore.Benchmarks.Fleet;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks.Create;

/// <summary>New tenants with twenty tables, one after the other: from migrations, from the template, from the warm pool.</summary>
internal static class CreateBenchmark
{
    public static async Task RunAsync(bool quick, TextWriter report)
    {
        var tenants = quick ? 10 : 200;
        var rounds = quick ? 1 : 5;
        await using var server = await PostgresServer.StartAsync(new() { MaxConnections = 100 });
        var ways = new (string Name, Func<Task<double>> Run)[]
        {
            ("psql, the same SQL in one transaction each", () => PsqlAsync(server, tenants)),
            ("CreateAsync from migrations", () => CreateAsync(server, tenants, TenantSource.Migrations, warm: 0)),
            ("CreateAsync from the template", () => CreateAsync(server, tenants, TenantSource.Template, warm: 0)),
            ("CreateAsync from the warm pool", () => CreateAsync(server, tenants, TenantSource.Migrations, tenants)),
        };
        var times = ways.Select(_ => new List<double>()).ToArray();

        // What is compiled at the first use is no part of it.
        await CreateAsync(server, 3, TenantSource.Template, warm: 0);
        await CreateAsync(server, 3, TenantSource.Migrations, warm: 3);
        for (var round = 0; round < rounds; round++)
        {
            for (var way = 0; way < ways.Length; way++)
            {
                times[way].Add(await ways[way].Run());
            }
        }

        await report.WriteLineAsync(
            $"A tenant of 20 tables by 10 migrations, {tenants} one after the other, {rounds} rounds interleaved, median"
        );
        await report.WriteLineAsync();
        await report.WriteLineAsync("| way | ms each | ratio to psql |");
        await report.WriteLineAsync("|---|---|---|");
        for (var way = 0; way < ways.Length; way++)
        {
            var ratio = Numbers.Median([.. times[way].Zip(times[0], (t, psql) => t / psql)]);
            await report.WriteLineAsync(
                Numbers.Text($"| {ways[way].Name} | {Numbers.Median(times[way]) * 1_000:0.0} | {ratio:0.00} |")
            );
        }

        await TripsAsync(server, report);
    }

    private static async Task<double> CreateAsync(PostgresServer server, int tenants, TenantSource source, int warm)
    {
        await using var app = await FleetApp.StartAsync(server, tenants: 0, warm);
        await app.FillAsync(warm);
        if (source == TenantSource.Template)
        {
            await app.Provisioner.RefreshTemplateAsync("db1");
        }

        // The first one opens the connections.
        await app.CreateAsync("first", source);
        var watch = Stopwatch.StartNew();
        for (var tenant = 1; tenant < tenants; tenant++)
        {
            await app.CreateAsync($"t{tenant}", source);
        }

        return watch.Elapsed.TotalSeconds / (tenants - 1);
    }

    private static async Task<double> PsqlAsync(PostgresServer server, int tenants)
    {
        await using var app = await FleetApp.StartAsync(server, tenants: 0);
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllLinesAsync(
                file,
                Enumerable
                    .Range(1, tenants)
                    .Select(t =>
                        $"BEGIN;\nCREATE SCHEMA t{t};\nSET LOCAL search_path = t{t};\n{PlainScript.Text}\nCOMMIT;"
                    )
            );
            var watch = Stopwatch.StartNew();
            await Psql.RunAsync(server, app.Database, file);
            return watch.Elapsed.TotalSeconds / tenants;
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static async Task TripsAsync(PostgresServer server, TextWriter report)
    {
        await using var database = TcpFaultProxy.Start(server.Host, server.Port);
        await using var admin = TcpFaultProxy.Start(server.Host, server.Port);
        await using var app = await FleetApp.StartAsync(server, tenants: 0, warm: 3, admin);
        await app.FillAsync(3);
        await app.RedirectAsync(database.Host, database.Port);
        await app.ReloadAsync();
        await app.CreateAsync("first", TenantSource.Migrations);
        database.ResetCounters();
        admin.ResetCounters();
        await app.CreateAsync("second", TenantSource.Migrations);
        await report.WriteLineAsync();
        await report.WriteLineAsync(
            $"A tenant from the warm pool: {database.Counters.RoundTrips} round trips to its database, "
                + $"{admin.Counters.RoundTrips} to the admin database."
        );
    }
}
