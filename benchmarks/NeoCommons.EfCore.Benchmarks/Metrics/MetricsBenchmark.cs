using System.Diagnostics;
using NeoCommons.EfCore.Benchmarks.Fleet;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Metrics;

/// <summary>What it costs to count: alone, in a command, in an acquisition, and to read what was counted.</summary>
internal static class MetricsBenchmark
{
    public static async Task RunAsync(bool quick, TextWriter report)
    {
        var (rounds, commands) = quick ? (3, 1_000) : (9, 10_000);
        await using var server = await PostgresServer.StartAsync();
        await Micro.RunAsync<CountingBenchmark>(quick, report);
        var (on, off, opens) = (new List<double>(), new List<double>(), new List<double>());
        var plain = new List<double>();
        for (var round = 0; round < rounds; round++)
        {
            off.Add(await ReadAsync(server, commands, collects: false, [], []));
            on.Add(await ReadAsync(server, commands, collects: true, opens, plain));
        }

        await report.WriteLineAsync();
        await report.WriteLineAsync(
            $"On a server on this machine, the median of {rounds} rounds, with and without in turn."
        );
        await report.WriteLineAsync();
        await report.WriteLineAsync("| what | us | ratio to without (no goal) |");
        await report.WriteLineAsync("|---|---|---|");
        await RowAsync("`SELECT 1`, its time not taken", off, off);
        await RowAsync("`SELECT 1`, its time taken", on, off);
        await RowAsync("opening and closing, plain Npgsql", plain, plain);
        await RowAsync("opening and closing, `IDatabaseConnections`", opens, plain);

        // Of the same round.
        Task RowAsync(string what, List<double> of, List<double> to) =>
            report.WriteLineAsync(
                Numbers.Text(
                    $"| {what} | {Numbers.Median(of):0.00} | {Numbers.Median([.. of.Zip(to, (a, b) => a / b)]):0.00} |"
                )
            );
    }

    // One at a time in the process: the driver's meter is everybody's.
    private static async Task<double> ReadAsync(
        PostgresServer server,
        int commands,
        bool collects,
        List<double> opens,
        List<double> plain
    )
    {
        await using var app = await FleetApp.StartAsync(server, tenants: 0, collectsCommands: collects);
        var connections = app.DatabaseConnections;
        double read;
        await using (var connection = await connections.OpenConnectionAsync("db1"))
        {
            await using var command = new NpgsqlCommand("SELECT 1", connection);
            read = Time(commands, () => command.ExecuteNonQuery());
        }

        opens.Add(Time(commands, () => connections.OpenConnectionAsync("db1").Result.Dispose()));
        await using var source = NpgsqlDataSource.Create(server.GetConnectionString(app.Database));
        await using (await source.OpenConnectionAsync()) { }
        plain.Add(Time(commands, () => source.OpenConnectionAsync().Result.Dispose()));
        return read;
    }

    private static double Time(int count, Action act)
    {
        for (var i = 0; i < count / 5; i++)
        {
            act();
        }

        var watch = Stopwatch.StartNew();
        for (var i = 0; i < count; i++)
        {
            act();
        }

        return watch.Elapsed.TotalMicroseconds / count;
    }
}
