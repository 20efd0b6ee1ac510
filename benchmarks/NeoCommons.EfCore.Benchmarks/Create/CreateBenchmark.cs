using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Admin;
using NeoCommons.EfCore.Benchmarks.Fleet;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Create;

/// <summary>New tenants with twenty tables, one after the other: from migrations, from the template, from the warm pool; beside psql and MigrateAsync.</summary>
internal static class CreateBenchmark
{
    private const string FromMigrations = "CreateAsync from migrations";

    private const string PsqlAlone = "psql, the same SQL in one transaction each";
    private const string Loop = "CREATE SCHEMA and Database.MigrateAsync()";

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        await using var server = await PostgresServer.StartAsync(new() { MaxConnections = 100 });

        // What is compiled at the first use is no part of it.
        await MigrateAsync(server, 3);
        await CreateAsync(server, 3, TenantSource.Template, warm: 0);
        await CreateAsync(server, 3, TenantSource.Migrations, warm: 3);
        await report.WriteLineAsync(
            "Tenants of 20 tables by 10 migrations, one after the other; rounds are interleaved, the ways of each in another order: the median, and the least and the most of the ratios. The start of psql is in its time. "
                + "MigrateAsync is EF's own way: a connection string with the schema as Search Path for each tenant, and so a login."
        );
        var goals = new GoalsTable();
        await MeasureAsync(
            server,
            report,
            goals,
            quick ? 10 : 100,
            rounds: quick ? 1 : 5,
            [
                (PsqlAlone, tenants => PsqlAsync(server, tenants)),
                (Loop, tenants => MigrateAsync(server, tenants)),
                (FromMigrations, tenants => CreateAsync(server, tenants, TenantSource.Migrations, warm: 0)),
                (
                    "CreateAsync from the template",
                    tenants => CreateAsync(server, tenants, TenantSource.Template, warm: 0)
                ),
                (
                    "CreateAsync from the warm pool",
                    tenants => CreateAsync(server, tenants, TenantSource.Migrations, tenants)
                ),
            ]
        );
        if (!quick)
        {
            await MeasureAsync(
                server,
                report,
                goals,
                tenants: 1_000,
                rounds: 3,
                [
                    (PsqlAlone, tenants => PsqlAsync(server, tenants)),
                    (FromMigrations, tenants => CreateAsync(server, tenants, TenantSource.Migrations, warm: 0)),
                ]
            );
        }

        await SideBySide.RunAsync(quick, server, report, goals);
        await report.WriteLineAsync();
        await goals.WriteAsync(report);
        await TripsAsync(server, report);
    }

    private static async Task MeasureAsync(
        PostgresServer server,
        TextWriter report,
        GoalsTable goals,
        int tenants,
        int rounds,
        (string Name, Func<int, Task<double>> Run)[] ways
    )
    {
        var times = ways.Select(_ => new List<double>()).ToArray();
        for (var round = 0; round < rounds; round++)
        {
            var turns = Enumerable.Range(0, ways.Length).ToArray();
            new Random(round).Shuffle(turns);
            foreach (var way in turns)
            {
                await Console.Error.WriteLineAsync(
                    $"create: {tenants:N0} tenants, round {round + 1}, {ways[way].Name}"
                );
                times[way].Add(await ways[way].Run(tenants));
            }
        }

        await report.WriteLineAsync();
        await report.WriteLineAsync(
            $"| {tenants:N0} tenants, {(rounds == 1 ? "one round" : $"{rounds} rounds")} | ms each | ratio to psql | least-most |"
        );
        await report.WriteLineAsync("|---|---|---|---|");
        for (var way = 0; way < ways.Length; way++)
        {
            double[] ratios = [.. times[way].Zip(times[0], (t, psql) => t / psql)];
            await report.WriteLineAsync(
                Numbers.Text(
                    $"| {ways[way].Name} | {Numbers.Median(times[way]) * 1_000:0.0} | {Numbers.Median(ratios):0.00} | {ratios.Min():0.00}-{ratios.Max():0.00} |"
                )
            );
            if (ways[way].Name == FromMigrations)
            {
                goals.AtMost(
                    $"{tenants:N0} tenants created from migrations: at most 1.5 times psql",
                    Numbers.Spread(ratios),
                    1.5
                );
            }
        }
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
        await app.SettleAsync();
        var watch = Stopwatch.StartNew();
        for (var tenant = 1; tenant < tenants; tenant++)
        {
            await app.CreateAsync($"t{tenant}", source);
        }

        return watch.Elapsed.TotalSeconds / (tenants - 1);
    }

    private static async Task<double> MigrateAsync(PostgresServer server, int tenants)
    {
        await using var app = await FleetApp.StartAsync(server, tenants: 0);
        await using var source = NpgsqlDataSource.Create(server.GetConnectionString(app.Database));

        // The first one opens the connection.
        await CreateAsync(0);
        await app.SettleAsync();
        var watch = Stopwatch.StartNew();
        for (var tenant = 1; tenant < tenants; tenant++)
        {
            await CreateAsync(tenant);
        }

        return watch.Elapsed.TotalSeconds / (tenants - 1);

        async Task CreateAsync(int tenant)
        {
            var schema = FleetApp.SchemaOf(tenant);
            await using (var create = source.CreateCommand($"CREATE SCHEMA {schema}"))
            {
                await create.ExecuteNonQueryAsync();
            }

            var options = new DbContextOptionsBuilder<FleetContext>();
            options.UseNpgsql(
                server.GetConnectionString(app.Database) + $";Search Path={schema}",
                n => n.MigrationsHistoryTable("__EFMigrationsHistory", schema)
            );
            await using var context = new FleetContext(options.Options);
            await context.Database.MigrateAsync();

            // Each tenant has a pool of its own, and the server would run out of connections.
            NpgsqlConnection.ClearPool((NpgsqlConnection)context.Database.GetDbConnection());
        }
    }

    private static async Task<double> PsqlAsync(PostgresServer server, int tenants)
    {
        await using var app = await FleetApp.StartAsync(server, tenants: 0);
        return await PlainScript.RunAsync(app, atOnce: 1, tenants, createsSchemas: true) / tenants;
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
