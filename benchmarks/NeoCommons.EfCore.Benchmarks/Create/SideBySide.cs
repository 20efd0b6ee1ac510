using System.Diagnostics;
using NeoCommons.EfCore.Admin;
using NeoCommons.EfCore.Benchmarks.Fleet;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks.Create;

/// <summary>Many new tenants at once, on one server and on several: from migrations, beside psql.</summary>
internal static class SideBySide
{
    private const int AtOnce = 4;

    public static async Task RunAsync(bool quick, PostgresServer first, TextWriter report, GoalsTable goals)
    {
        await report.WriteLineAsync();
        await report.WriteLineAsync(
            $"{AtOnce} at a time on each server, as psql with as many sessions; tenants take turns with the servers, which share this machine, and the registry is on the first. The start of psql is in its time, and the first login to each server in none of them."
        );
        await report.WriteLineAsync();
        await report.WriteLineAsync($"| {AtOnce} at a time: {BesidePsql.Columns} |");
        await report.WriteLineAsync("|---|---|---|---|---|---|---|");
        var servers = new List<PostgresServer> { first };
        try
        {
            foreach (var count in quick ? [1] : new[] { 1, 2, 4 })
            {
                while (servers.Count < count)
                {
                    servers.Add(await PostgresServer.StartAsync(new() { MaxConnections = 100 }));
                }

                await CompareAsync(servers, quick ? 12 : 100, quick ? 1 : 3, report, goals);
                if (!quick && count != 2)
                {
                    await CompareAsync(servers, 1_000, rounds: 3, report, goals);
                }
            }
        }
        finally
        {
            foreach (var server in servers.Skip(1))
            {
                await server.DisposeAsync();
            }
        }
    }

    private static async Task CompareAsync(
        IReadOnlyList<PostgresServer> servers,
        int tenants,
        int rounds,
        TextWriter report,
        GoalsTable goals
    )
    {
        var seconds = await BesidePsql.CompareAsync(
            report,
            $"create, {AtOnce} at a time",
            tenants,
            servers.Count,
            rounds,
            [
                ("psql, the same SQL", () => PsqlAsync(servers, tenants)),
                ("CreateAsync from migrations", () => OursAsync(servers, tenants)),
            ]
        );
        goals.AtMost(
            $"{tenants:N0} tenants created {AtOnce} at a time on {BesidePsql.Servers(servers.Count)}: at most 1.5 times psql",
            BesidePsql.RatioOf(seconds[1], seconds[0]),
            1.5
        );
    }

    private static async Task<double> OursAsync(IReadOnlyList<PostgresServer> servers, int tenants)
    {
        await using var app = await FleetApp.StartAsync(servers, tenants: 0);

        // The first of each server opens its connections.
        for (var database = 1; database <= servers.Count; database++)
        {
            await app.CreateAsync($"first{database}", TenantSource.Migrations, database);
        }

        await app.SettleAsync();
        var watch = Stopwatch.StartNew();
        await Task.WhenAll(
            Enumerable
                .Range(0, AtOnce * servers.Count)
                .Select(worker =>
                    Task.Run(async () =>
                    {
                        for (var tenant = worker; tenant < tenants; tenant += AtOnce * servers.Count)
                        {
                            await app.CreateAsync($"t{tenant}", TenantSource.Migrations, (worker % servers.Count) + 1);
                        }
                    })
                )
        );
        return watch.Elapsed.TotalSeconds;
    }

    private static async Task<double> PsqlAsync(IReadOnlyList<PostgresServer> servers, int tenants)
    {
        await using var app = await FleetApp.StartAsync(servers, tenants: 0);
        return await PlainScript.RunAsync(app, AtOnce, tenants, createsSchemas: true);
    }
}
