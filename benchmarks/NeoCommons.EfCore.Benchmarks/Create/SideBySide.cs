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
        await report.WriteLineAsync(
            $"| {AtOnce} at a time: tenants | servers | rounds | way | s | ratio to psql | least-most |"
        );
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
        var (psql, ours) = (new List<double>(), new List<double>());
        for (var round = 0; round < rounds; round++)
        {
            await Console.Error.WriteLineAsync(
                $"create: {tenants:N0} tenants, {AtOnce} at a time, {servers.Count} servers, round {round + 1}"
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
        }

        foreach (var (way, seconds) in new[] { ("psql, the same SQL", psql), ("CreateAsync from migrations", ours) })
        {
            double[] ratios = [.. seconds.Zip(psql, (s, p) => s / p)];
            await report.WriteLineAsync(
                Numbers.Text(
                    $"| {tenants:N0} | {servers.Count} | {rounds} | {way} | {Numbers.Median(seconds):0.00} | {Numbers.Median(ratios):0.00} | {ratios.Min():0.00}-{ratios.Max():0.00} |"
                )
            );
        }

        goals.AtMost(
            $"{tenants:N0} tenants created {AtOnce} at a time on {servers.Count} {(servers.Count == 1 ? "server" : "servers")}: at most 1.5 times psql",
            Numbers.Spread([.. ours.Zip(psql, (o, p) => o / p)]),
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
